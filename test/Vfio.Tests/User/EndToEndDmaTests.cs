using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Client memory, by descriptor and by message, from a device's accesses to the client's bytes.</summary>
public sealed class EndToEndDmaTests
{
    private static readonly Iova Start = new(0x10_0000);

    [Fact]
    public void A_device_reads_and_writes_memory_that_was_passed()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        SharedDmaMemory memory = new(SharedMemory.Create("test", 1 << 16));
        client.MapDma(new DmaMapping(Start, 1 << 16, DmaAccess.ReadWrite, memory, 0));
        CheckBothWays(client, server.Device, memory, 1 << 16);
        Assert.NotNull(server.Device.Mappings[0].Memory.Shared);
        Assert.Equal(1ul << 16, client.UnmapDma(Start, 1 << 16));
        memory.Release();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_device_reads_and_writes_memory_that_stays_with_the_client(bool byThread)
    {
        using TestServer server = new(() => new FakeDevice { UsesThread = byThread });
        using VfioUserClient client = server.ConnectClient();
        PrivateMemory memory = new(3 << 20);
        client.MapDma(new DmaMapping(Start, 3 << 20, DmaAccess.ReadWrite, memory, 0));
        CheckBothWays(client, server.Device, memory, 3 << 20);
        client.UnmapAllDma();
        Assert.Empty(server.Device.Mappings);
        memory.Release();
        Assert.True(memory.IsFreed);
    }

    [Fact]
    public void Threads_of_a_device_reach_the_client_while_no_call_is_under_way()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        PrivateMemory memory = new(1 << 20);
        client.MapDma(new DmaMapping(Start, 1 << 20, DmaAccess.ReadWrite, memory, 0));
        Parallel.For(0, 8, _ =>
        {
            for (int i = 0; i < 50; i++)
                Assert.Equal(Errno.None, server.Device.Transfer(Start.Value, 4096, write: i % 2 == 0));
        });
        memory.Release();
    }

    [Fact]
    public void Calls_and_a_devices_threads_use_one_connection_at_a_time()
    {
        using TestServer server = new(() => new FakeDevice { UsesThread = true });
        using VfioUserClient client = server.ConnectClient();
        PrivateMemory memory = new(1 << 20);
        client.MapDma(new DmaMapping(Start, 1 << 20, DmaAccess.ReadWrite, memory, 0));
        Errno failure = Errno.None;
        Thread device = new(() =>
        {
            for (int i = 0; i < 200 && failure == Errno.None; i++)
                failure = server.Device.Transfer(Start.Value, 100_000, write: i % 2 == 0);
        });
        device.Start();
        Parallel.For(0, 3, _ =>
        {
            byte[] four = new byte[4];
            for (int i = 0; i < 200; i++)
            {
                client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaGo, four);
                client.ReadRegion(RegionIndex.Bar0, 0, four);
            }
        });
        Assert.True(device.Join(HangGuard.Timeout));
        Assert.Equal(Errno.None, failure);
        memory.Release();
    }

    [Fact]
    public void A_mapping_without_permission_refuses_the_server()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        PrivateMemory memory = new(4096);
        client.MapDma(new DmaMapping(Start, 4096, DmaAccess.Read, memory, 0));
        Assert.Equal(Errno.None, server.Device.Transfer(Start.Value, 64, write: false));
        Assert.Equal(Errno.AccessDenied, server.Device.Transfer(Start.Value, 64, write: true));
        Assert.Equal(Errno.BadAddress, server.Device.Transfer(Start.Value + 4090, 64, write: false));
        memory.Release();
    }

    [Fact]
    public void A_range_is_mapped_once_and_taken_away_whole()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        SharedDmaMemory memory = new(SharedMemory.Create("test", 1 << 16));
        client.MapDma(new DmaMapping(Start, 0x4000, DmaAccess.ReadWrite, memory, 0));
        client.MapDma(new DmaMapping(Start + 0x4000, 0x4000, DmaAccess.Read, memory, 0x8000));
        DmaMapping twice = new(Start + 0x1000, 0x1000, DmaAccess.ReadWrite, memory, 0);
        Assert.Equal(Errno.Exists, Assert.Throws<VfioException>(() => client.MapDma(twice)).Errno);
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => client.UnmapDma(Start, 0x1000)).Errno);
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => client.UnmapDma(Start + 0x1000, 0x8000)).Errno);
        Assert.Equal(0x8000ul, client.UnmapDma(new Iova(0), 0x1000_0000));
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => client.UnmapDma(Start, 0x4000)).Errno);
        Assert.Empty(server.Device.Mappings);
        memory.Release();
    }

    private static void CheckBothWays(VfioUserClient client, FakeDevice device, DmaMemory memory, int length)
    {
        byte[] bytes = new byte[length];
        new Random(4).NextBytes(bytes);
        Assert.Equal(Errno.None, memory.Write(0, bytes));
        client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaAddress, BitConverter.GetBytes(Start.Value));
        client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaLength, BitConverter.GetBytes((ulong)length));
        client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaDirection, BitConverter.GetBytes(0));
        Go(client);
        Assert.True(bytes.AsSpan().SequenceEqual(device.DmaBuffer.AsSpan(0, length)));
        device.DmaBuffer.AsSpan(0, length).Reverse();
        client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaDirection, BitConverter.GetBytes(1));
        Go(client);
        Array.Reverse(bytes);
        byte[] changed = new byte[length];
        Assert.Equal(Errno.None, memory.Read(0, changed));
        Assert.True(bytes.AsSpan().SequenceEqual(changed));
    }

    private static void Go(VfioUserClient client)
    {
        byte[] error = new byte[4];
        client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaGo, [1, 0, 0, 0]);
        client.ReadRegion(RegionIndex.Bar0, FakeDevice.DmaError, error);
        Assert.Equal(0, BitConverter.ToInt32(error));
    }
}
