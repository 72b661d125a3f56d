using Vfio.Guard;
using Vfio.Native;
using Vfio.Tests.Guard;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Accesses over several mappings, and as many mappings as the protocol has.</summary>
public sealed class ManyMappingsTests
{
    private const int Most = 65_535;
    private const ulong Start = 0x10_0000;

    [Fact]
    public void One_access_goes_through_mappings_of_both_kinds()
    {
        PlainFunction function = new(new FunctionDescription("x", 1, 2));
        using GuardedServer server = new(function);
        using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { MaxDataTransferBytes = 4096 });
        client.WriteRegion(RegionIndex.Config, 4, [4, 0]);
        SharedDmaMemory[] shared = [Share(0x3000), Share(0x1000)];
        PrivateMemory kept = new(0x5000);
        client.MapDma(new DmaMapping(new Iova(Start), 0x2000, DmaAccess.ReadWrite, shared[0], 0x1000));
        client.MapDma(new DmaMapping(new Iova(Start + 0x2000), 0x5000, DmaAccess.ReadWrite, kept, 0));
        client.MapDma(new DmaMapping(new Iova(Start + 0x7000), 0x1000, DmaAccess.ReadWrite, shared[1], 0));
        byte[] bytes = new byte[0x8000];
        new Random(7).NextBytes(bytes);
        Assert.Equal(Errno.None, function.Slot.WriteMemory(new Iova(Start), bytes));
        byte[] back = new byte[bytes.Length - 3];
        Assert.Equal(Errno.None, function.Slot.ReadMemory(new Iova(Start + 3), back));
        Assert.Equal(bytes[3..], back);
        Assert.Equal(Errno.None, shared[0].Read(0x1000, back.AsSpan(0, 0x2000)));
        Assert.Equal(bytes[..0x2000], back[..0x2000]);
        Assert.Equal(Errno.BadAddress, function.Slot.ReadMemory(new Iova(Start + 4), bytes));
        client.UnmapDma(new Iova(Start + 0x2000), 0x5000);
        Assert.Equal(Errno.BadAddress, function.Slot.ReadMemory(new Iova(Start), bytes));
        Assert.Equal(0x3000ul, client.UnmapDma(new Iova(Start), 0x8000));
        kept.Release();
        Assert.All(shared, memory => memory.Release());
    }

    [Fact]
    public void As_many_mappings_live_as_the_specification_has_and_no_more()
    {
        PlainFunction function = new(new FunctionDescription("x", 1, 2));
        using GuardedServer server = new(function);
        using VfioUserClient client = server.ConnectClient();
        client.WriteRegion(RegionIndex.Config, 4, [4, 0]);
        SharedDmaMemory memory = Share(0x1000);
        for (ulong i = 0; i < Most; i++)
            client.MapDma(new DmaMapping(new Iova(Start + (i * 0x2000)), 0x1000, DmaAccess.ReadWrite, memory, 0));
        DmaMapping oneMore = new(new Iova(Start + (Most * 0x2000ul)), 0x1000, DmaAccess.ReadWrite, memory, 0);
        Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => client.MapDma(oneMore)).Errno);
        Assert.Equal(Errno.None, function.Slot.WriteMemory(new Iova(Start + ((Most - 1) * 0x2000ul)), [0x5a]));
        Assert.Equal(0x5a, memory.Shared.Read8(0));
        client.UnmapDma(new Iova(Start), 0x1000);
        client.MapDma(oneMore);
        client.UnmapAllDma();
        Assert.Equal(Errno.BadAddress, function.Slot.WriteMemory(new Iova(Start + 0x2000), [1]));
        memory.Release();
    }

    [Fact]
    public void A_client_may_agree_on_fewer_mappings()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        _ = peer.Ask(1, [(ushort)0, (ushort)1, "{\"capabilities\":{\"max_dma_maps\":1}}\0"]).Success;
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul]).Success);
        Assert.Equal(28u, peer.Ask(2, [32, 3, 0ul, 0x2000ul, 0x1000ul]).Refusal);
    }

    [Fact]
    public void Region_accesses_are_cut_to_what_the_server_takes()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MaxDataTransferBytes = 4096 });
        using VfioUserClient client = server.ConnectClient();
        byte[] bytes = new byte[10_001];
        new Random(5).NextBytes(bytes);
        client.WriteRegion(RegionIndex.Bar(2), 1, bytes);
        byte[] back = new byte[bytes.Length];
        client.ReadRegion(RegionIndex.Bar(2), 1, back);
        Assert.Equal(bytes, back);
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(9, [0ul, 2, 4097]).Refusal);
        Assert.Equal(16 + 4096, peer.Ask(9, [0ul, 2, 4096]).Success.Length);
    }

    private static SharedDmaMemory Share(ulong bytes) => new(SharedMemory.Create("guest", bytes));
}
