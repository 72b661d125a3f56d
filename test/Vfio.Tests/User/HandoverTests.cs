using System.Buffers.Binary;
using Vfio.Devices;
using Vfio.Devices.Bench;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Tests.Guard;
using Vfio.Tests.Net;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A server takes over from another. The clients here do not reconnect, so that a closed connection would fail them.</summary>
public sealed class HandoverTests
{
    private const ulong Shared = 0x10000, Asked = 0x20000, Page = 4096;
    private const ulong Scratch0 = 0x08, Irq = 0x10, DmaAddress = 0x18, DmaLength = 0x20, DmaGo = 0x28, DmaStatus = 0x30, Pending = 0xc00;
    private const uint Read = 1, Write = 2;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void All_of_a_busy_bench_goes_along(bool twinSocket)
    {
        using Relay relay = new(() => new BenchFunction(), BenchFunction.Policy);
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath, new VfioUserClientOptions { TwinSocket = twinSocket });
        SharedDmaMemory memory = new(SharedMemory.Create("handover-dma", 2 * Page));
        PrivateMemory asked = new((int)Page);
        client.MapDma(new DmaMapping(new Iova(Shared), 2 * Page, DmaAccess.ReadWrite, memory, 0));
        client.MapDma(new DmaMapping(new Iova(Asked), Page, DmaAccess.ReadWrite, asked, 0));
        EventFd[] events = [.. Enumerable.Range(0, 4).Select(_ => EventFd.Create())];
        client.SetInterrupts(InterruptRequest.Bind(
            InterruptIndex.Msix, InterruptAction.Trigger, 0, [.. events.Select(bound => bound.Descriptor)]));
        RegionInfo bar2 = client.GetRegion(RegionIndex.Bar(2));
        using SharedMemory mapped = SharedMemory.Map(bar2.File!, bar2.FileOffset, bar2.Length, writable: true);
        for (uint round = 1; round <= 3; round++)
        {
            Put(client, Scratch0, 0x1000 + round);
            client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Mask, 2, 1));
            Put(client, Irq, 2);
            Assert.True(mapped.TryWrite(0, [1, (byte)round]));
            relay.Replace();

            Assert.Equal(0x1000 + round, Get(client, Scratch0));
            Assert.True(mapped.TryWrite(2, [3, (byte)(round + 100)]));
            Assert.Equal(0u, Go(client, Write, Shared + Page - 2, 4));
            byte[] moved = new byte[4];
            Assert.True(memory.Shared.TryRead(Page - 2, moved));
            Assert.Equal([1, (byte)round, 3, (byte)(round + 100)], moved);
            Assert.Equal(0u, Go(client, Write, Asked + 8, 4));
            Assert.Equal(Errno.None, asked.Read(8, moved));
            Assert.Equal([1, (byte)round, 3, (byte)(round + 100)], moved);
            asked.Write(16, [(byte)(round + 7)]);
            Assert.Equal(0u, Go(client, Read, Asked + 16, 1));
            Assert.True(mapped.TryRead(0, moved));
            Assert.Equal(round + 7, moved[0]);

            Assert.Equal(4u, Get(client, Pending));
            Assert.Equal(0ul, events[2].Drain());
            client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Unmask, 2, 1));
            Assert.True(events[2].Wait(TestTimeout));
            Put(client, Irq, 3);
            Assert.True(events[3].Wait(TestTimeout));
            Assert.Equal(0ul, events[0].Drain() + events[1].Drain());
        }

        Assert.Equal(2 * Page, client.UnmapDma(new Iova(Shared), 2 * Page));
        Assert.NotEqual(0u, Go(client, Write, Shared, 4));
        client.Reset();
        Array.ForEach(events, bound => bound.Dispose());
        memory.Release();
        asked.Release();
    }

    [Fact]
    public void An_asserted_pin_and_the_eventfd_that_unmasks_it_go_along()
    {
        using Relay relay = new(() => new EduFunction());
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        using EventFd fired = EventFd.Create();
        using EventFd unmask = EventFd.Create();
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Intx, InterruptAction.Trigger, 0, [fired.Descriptor]));
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Intx, InterruptAction.Unmask, 0, [unmask.Descriptor]));
        Put(client, 0x60, 0x10);
        Assert.True(fired.Wait(TestTimeout));
        relay.Replace();
        Assert.Equal(0ul, fired.Drain());
        unmask.Signal();
        Assert.True(fired.Wait(TestTimeout));
        Put(client, 0x64, 0x10);
        unmask.Signal();
        Assert.Equal(0u, Get(client, 0x24));
    }

    [Fact]
    public void Doorbells_that_are_signalled_during_a_handover_reach_the_successor()
    {
        using Relay relay = new(() => new BellFunction());
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        IReadOnlyList<Doorbell> bells = client.GetDoorbells(RegionIndex.Bar0);
        Assert.NotEmpty(bells);
        for (uint round = 1; round <= 3; round++)
        {
            using ManualResetEventSlim end = new();
            Thread ringing = new(() =>
            {
                while (!end.IsSet)
                    bells[0].Event!.Signal();
            });
            ringing.Start();
            relay.Replace();
            end.Set();
            ringing.Join();
            uint Rings() => Get(client, 0);
            uint before = Rings();
            bells[0].Event!.Signal();
            Assert.True(SpinWait.SpinUntil(() => Rings() > before, TestTimeout));
        }
    }

    [Fact]
    public void What_the_provider_reported_before_an_eventfd_was_bound_is_signalled_after()
    {
        using Relay relay = new(() => new EduFunction());
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        _ = client.Info;
        relay.Function.RequestBack();
        relay.Replace();
        using EventFd asked = EventFd.Create();
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Request, InterruptAction.Trigger, 0, [asked.Descriptor]));
        Assert.True(asked.Wait(TestTimeout));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(20)]
    public void Half_a_message_and_its_descriptor_go_along(int bytes)
    {
        using Relay relay = new(() => new BenchFunction(), BenchFunction.Policy);
        using RawPeer peer = new(UnixSocket.Connect(relay.SocketPath));
        peer.Negotiate();
        using FileDescriptor file = MemoryFile.Create($"handover-{bytes}", 4096);
        byte[] map = RawPeer.Message(77, 2, 0, 32, 3, 0ul, 0x4000_0000ul, 0x1000ul);
        peer.Send(map.AsSpan(0, bytes), file);
        relay.Replace();
        peer.Send(map.AsSpan(bytes));
        Assert.Equal(77, peer.Receive().Id);
        _ = peer.Ask(10, [0x18ul, 0, 16, 0x4000_0000ul, 16ul]).Success;
        _ = peer.Ask(10, [0x28ul, 0, 4, 2]).Success;
        RawPeer.Reply result = peer.Ask(9, [0x30ul, 0, 16]);
        Assert.Equal((0u, 1u, 16ul), (result.U32(16), result.U32(20), result.U64(24)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_capture_shows_no_broken_stream_where_half_a_message_goes_along(bool isRefusedBefore)
    {
        CaptureStream capture = new();
        using (Relay relay = new(() => new BenchFunction(), BenchFunction.Policy, new VfioUserServerOptions { Capture = capture.Capture }))
        using (RawPeer peer = new(UnixSocket.Connect(relay.SocketPath)))
        {
            peer.Negotiate();
            byte[] read = RawPeer.Message(77, 9, 0, 0ul, 0u, 4u);
            if (isRefusedBefore)
            {
                // The session that goes on is captured on.
                Assert.Throws<VfioException>(() => relay.Replace(() => new EduFunction()));
                _ = peer.Ask(9, [0x30ul, 0, 16]).Success;
            }

            peer.Send(read.AsSpan(0, 20));
            relay.Replace();
            peer.Send(read.AsSpan(20));
            Assert.Equal(77, peer.Receive().Id);
        }

        byte[][] packets = [.. PcapngReader.Read(capture.End()).Where(block => block.Type == 6).Select(block => block.Packet)];
        Assert.DoesNotContain(packets, packet => packet[27] == 1);
        Assert.Equal(isRefusedBefore ? 6 : 4, packets.Length);
    }

    [Fact]
    public void A_client_that_has_not_negotiated_yet_is_served_by_the_successor()
    {
        using Relay relay = new(() => new EduFunction());
        using RawPeer peer = new(UnixSocket.Connect(relay.SocketPath));
        peer.Send(RawPeer.Message(1, 1, 0, (ushort)0, (ushort)1).AsSpan(0, 10));
        relay.Replace();
        peer.Send([.. RawPeer.Message(1, 1, 0, (ushort)0, (ushort)1).AsSpan(10)]);
        _ = peer.Receive().Success;
        _ = peer.Ask(9, [0ul, 0, 4]).Success;
    }

    [Fact]
    public void A_server_without_a_client_hands_its_place_over()
    {
        using Relay relay = new(() => new EduFunction());
        relay.Replace();
        relay.Replace(() => new BenchFunction());
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        Assert.Equal(0x3142_5556u, Get(client, 0));
    }

    [Fact]
    public void A_client_of_a_device_that_cannot_go_along_connects_again()
    {
        using Relay relay = new(() => ModelCatalog.Create("nvme", new Dictionary<string, string> { ["size"] = "1M" }));
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath, new VfioUserClientOptions { ReconnectTimeout = TestTimeout });
        using ManualResetEventSlim restarted = new();
        client.Restarted += restarted.Set;
        relay.Replace();
        Assert.NotEqual(0u, Get(client, 8));
        Assert.True(restarted.Wait(TestTimeout));
    }

    [Fact]
    public void A_successor_with_another_device_is_refused_and_the_server_continues()
    {
        using Relay relay = new(() => new BenchFunction(), BenchFunction.Policy);
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        Put(client, Scratch0, 5);
        using EventFd fired = EventFd.Create();
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msix, InterruptAction.Trigger, 1, [fired.Descriptor]));
        for (int i = 0; i < 3; i++)
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => relay.Replace(() => new EduFunction())).Errno);
        Assert.Equal(5u, Get(client, Scratch0));
        Put(client, Irq, 1);
        Assert.True(fired.Wait(TestTimeout));
        relay.Replace();
        Assert.Equal(5u, Get(client, Scratch0));
    }

    [Fact]
    public void While_its_client_migrates_the_device_no_successor_can_take_over()
    {
        using Relay relay = new(() => new EduFunction());
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        client.SetMigrationState(MigrationState.StopCopy);
        Assert.Contains("migrating", Assert.Throws<VfioException>(() => relay.Replace()).Message, StringComparison.Ordinal);
        Assert.Equal(MigrationState.StopCopy, client.MigrationState);
        client.SetMigrationState(MigrationState.Running);
        client.StartDirtyTracking(4096, []);
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => relay.Replace()).Errno);
        client.StopDirtyTracking();
        relay.Replace();
        Assert.Equal(0x0100_00edu, Get(client, 0));
    }

    private static uint Go(VfioUserClient client, uint operation, ulong address, ulong length)
    {
        client.WriteRegion(RegionIndex.Bar0, DmaAddress, BitConverter.GetBytes(address));
        client.WriteRegion(RegionIndex.Bar0, DmaLength, BitConverter.GetBytes(length));
        Put(client, DmaGo, operation);
        return Get(client, DmaStatus);
    }

    private static uint Get(VfioUserClient client, ulong offset)
    {
        byte[] bytes = new byte[4];
        client.ReadRegion(RegionIndex.Bar0, offset, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private static void Put(VfioUserClient client, ulong offset, uint value) =>
        client.WriteRegion(RegionIndex.Bar0, offset, BitConverter.GetBytes(value));
}
