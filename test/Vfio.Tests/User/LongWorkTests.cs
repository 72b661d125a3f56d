using Vfio.Devices;
using Vfio.Devices.Bench;
using Vfio.Guard;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Transfers of a device that take minutes, or wait for memory that its owner never sends: the session, a reset and the end of
/// the session do not wait for them.</summary>
public sealed class LongWorkTests
{
    private const ulong Start = 0x10000, MiB = 1 << 20;
    private const uint Read = 1, Write = 2, MessageRead = 4, InProgress = 115;
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);

    [Fact]
    public void A_transfer_of_a_terabyte_holds_up_neither_registers_nor_a_reset()
    {
        using ClientOfServer server = new(new BenchFunction());
        using VfioUserClient client = server.Connect();
        SharedDmaMemory memory = Map(client);
        Go(client, Write, 1_000_000);
        Assert.Equal(InProgress, Get(client, 0x30));
        client.WriteRegion(RegionIndex.Bar0, 0x08, [7, 0, 0, 0]);
        Assert.Equal(7u, Get(client, 0x08));
        client.Reset();
        Assert.Equal(0u, Get(client, 0x30));
        Assert.Equal(0u, Get(client, 0x38));

        // Nothing of it comes after the reset: the device's memory is another by now, and ours stays as it is.
        client.WriteRegion(RegionIndex.Bar(2), 0, [9, 9, 9, 9]);
        Assert.True(memory.Shared.TryWrite(0, [5, 5, 5, 5]));
        client.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        Go(client, Read, 1, 4, Start + MiB - 4);
        byte[] four = new byte[4];
        Assert.True(memory.Shared.TryRead(0, four));
        Assert.Equal([5, 5, 5, 5], four);
        client.Dispose();
        memory.Release();
    }

    [Fact]
    public void The_end_of_a_session_ends_its_transfer_and_the_next_client_has_nothing_of_it()
    {
        using ClientOfServer server = new(new BenchFunction());
        SharedDmaMemory memory;
        using (VfioUserClient first = server.Connect())
        {
            memory = Map(first);
            Go(first, Write, 1_000_000);
            Assert.Equal(InProgress, Get(first, 0x30));
        }

        using VfioUserClient second = server.Connect();
        Assert.Equal(0u, Get(second, 0x30));
        SharedDmaMemory other = Map(second);
        Go(second, Write, 1);
        Assert.Equal(0u, Get(second, 0x30));
        Assert.Equal((uint)MiB, Get(second, 0x38));
        memory.Release();
        other.Release();
    }

    [Theory]
    [InlineData(Read)]
    [InlineData(Write)]
    [InlineData(MessageRead)]
    public void A_client_that_owes_an_answer_can_reset_and_continue(uint operation)
    {
        using ClientOfServer server = new(new BenchFunction(), new VfioUserServerOptions { DmaTimeout = Never });
        using RawPeer peer = server.ConnectRaw();
        _ = peer.Ask(10, [4ul, 7, 2, (ushort)6]).Success;
        _ = peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul]).Success;
        _ = peer.Ask(10, [0x18ul, 0, 16, 0x1000ul, 64ul]).Success;
        peer.Send(RawPeer.Message(9, 10, 0, 0x28ul, 0, 4, operation));
        int asked = peer.Receive().Command;
        Assert.True(asked is 11 or 12, $"command {asked}");

        // The answer that it owes never comes. Registers answer, and so does a reset.
        peer.Send(RawPeer.Message(10, 9, 0, 0x30ul, 0, 4));
        Assert.Equal(9, peer.Receive().Id);
        Assert.Equal(InProgress, peer.Receive().U32(16));
        peer.Send(RawPeer.Message(11, 13, 0));
        RawPeer.Reply reset = peer.Receive();
        Assert.Equal((11, 0u), (reset.Id, reset.Error));
        peer.Send(RawPeer.Message(12, 9, 0, 0x30ul, 0, 4));
        Assert.Equal(0u, peer.Receive().U32(16));
    }

    [Fact]
    public void A_long_transfer_continues_where_its_device_is_restored()
    {
        using GuardedFunction from = ModelCatalog.CreateGuarded("bench", new Dictionary<string, string>());
        using GuardedFunction to = ModelCatalog.CreateGuarded("bench", new Dictionary<string, string>());
        using IVfioDevice source = from.Open();
        using IVfioDevice target = to.Open();
        SharedDmaMemory memory = Map(source);
        target.MapDma(new DmaMapping(new Iova(Start), MiB, DmaAccess.ReadWrite, memory, 0));
        const uint Repeats = 500;
        Go(source, Read, Repeats);
        source.Get<IMigratableDevice>().SetMigrationState(MigrationState.Stop);
        DeviceState.Restore(target, DeviceState.Save(source));
        target.Get<IMigratableDevice>().SetMigrationState(MigrationState.Running);
        Assert.True(SpinWait.SpinUntil(() => Get(target, 0x30) != InProgress, TestTimeout), "it does not end");
        Assert.Equal(0u, Get(target, 0x30));
        Assert.Equal((uint)(Repeats * MiB), Get(target, 0x38));
        memory.Release();
    }

    private static SharedDmaMemory Map(IVfioDevice device)
    {
        SharedDmaMemory memory = new(SharedMemory.Create("long-work", MiB));
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        device.MapDma(new DmaMapping(new Iova(Start), MiB, DmaAccess.ReadWrite, memory, 0));
        return memory;
    }

    private static void Go(IVfioDevice device, uint operation, uint repeats, ulong length = MiB, ulong address = Start)
    {
        device.WriteRegion(RegionIndex.Bar0, 0x18, BitConverter.GetBytes(address));
        device.WriteRegion(RegionIndex.Bar0, 0x20, BitConverter.GetBytes(length));
        device.WriteRegion(RegionIndex.Bar0, 0x40, BitConverter.GetBytes(repeats));
        device.WriteRegion(RegionIndex.Bar0, 0x28, BitConverter.GetBytes(operation));
    }

    private static uint Get(IVfioDevice device, ulong offset)
    {
        byte[] value = new byte[4];
        device.ReadRegion(RegionIndex.Bar0, offset, value);
        return BitConverter.ToUInt32(value);
    }
}
