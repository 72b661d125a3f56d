using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Tests.Guard;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>DEVICE_GET_REGION_IO_FDS (6): doorbells as ioeventfds.</summary>
public sealed class RegionIoFdsTests
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public void A_server_describes_its_doorbells_and_sends_their_eventfds()
    {
        using GuardedServer server = new(new BellFunction());
        using RawPeer peer = new(server.Connect());
        peer.Negotiate();
        RawPeer.Reply reply = peer.Ask(6, [4096, 0, 0, 0]);
        Assert.Equal(
            RawPeer.Bytes(
                136, 0, 0, 3,
                0x1000ul, 4ul, 0, 0, 0, 0, 0ul,
                0x1008ul, 2ul, 1, 0, 1, 0, 7ul,
                0x1010ul, 4ul, 2, 0, 0, 0, 0ul),
            reply.Success);
        Assert.Equal(3, peer.Descriptors.Count);
        _ = peer.Ask(10, [4ul, 7, 2, new byte[] { 3, 0 }]).Success;
        using FileDescriptor taken = peer.Descriptors.Take()!;
        using EventFd bell = EventFd.TryHold(taken)!;
        bell.Signal();
        Assert.True(SpinWait.SpinUntil(() => BitConverter.ToUInt32(peer.Ask(9, [0ul, 0, 4]).Success, 16) == 1, TestTimeout));
    }

    [Theory]
    [InlineData(16u)]
    [InlineData(135u)]
    public void Without_space_for_all_only_the_needed_size_is_returned(uint room)
    {
        using GuardedServer server = new(new BellFunction());
        using RawPeer peer = new(server.Connect());
        peer.Negotiate();
        Assert.Equal(RawPeer.Bytes(136, 0, 0, 3), peer.Ask(6, [room, 0, 0, 0]).Success);
        Assert.Equal(0, peer.Descriptors.Count);
    }

    [Fact]
    public void A_region_without_doorbells_has_none()
    {
        using GuardedServer server = new(new BellFunction());
        using RawPeer peer = new(server.Connect());
        peer.Negotiate();
        Assert.Equal(RawPeer.Bytes(16, 0, 7, 0), peer.Ask(6, [4096, 0, 7, 0]).Success);
    }

    [Fact]
    public void A_client_that_takes_fewer_descriptors_gets_fewer_doorbells()
    {
        using GuardedServer server = new(new BellFunction());
        using RawPeer peer = new(server.Connect());
        Assert.Equal(0u, peer.Ask(1, [(ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":2}}\0"]).Error);
        RawPeer.Reply reply = peer.Ask(6, [4096, 0, 0, 0]);
        Assert.Equal((96u, 2u), (reply.U32(0), reply.U32(12)));
        Assert.Equal(2, peer.Descriptors.Count);
    }

    [Theory]
    [InlineData(15u, 0u, 0u, 0u)]
    [InlineData(4096u, 1u, 0u, 0u)]
    [InlineData(4096u, 0u, 9u, 0u)]
    [InlineData(4096u, 0u, uint.MaxValue, 0u)]
    [InlineData(4096u, 0u, 0u, 1u)]
    public void A_request_that_cannot_be_replies_EINVAL(uint argsz, uint flags, uint index, uint count)
    {
        using GuardedServer server = new(new BellFunction());
        using RawPeer peer = new(server.Connect());
        peer.Negotiate();
        Assert.Equal(22u, peer.Ask(6, [argsz, flags, index, count]).Refusal);
        Assert.Equal(22u, peer.Ask(6, [argsz, flags]).Refusal);
    }

    [Fact]
    public void A_client_signals_doorbells_when_its_options_say_so()
    {
        using GuardedServer server = new(new BellFunction());
        using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { RingDoorbells = true });
        using PciDevice device = new(client);
        Interrupt interrupt = device.Interrupts.Enable(1)[0];
        device.EnableBusMaster();
        Bar bar = device.OpenBar(0);
        bar.Write32((long)BellFunction.Any, 1);
        Assert.True(interrupt.Wait(TestTimeout));
        bar.Write16((long)BellFunction.OnlySeven, 7);
        Assert.True(interrupt.Wait(TestTimeout));
        Assert.Equal((1u, 1u), (bar.Read32(0), bar.Read32(4)));
        bar.Write16((long)BellFunction.OnlySeven, 8);
        Assert.Equal(2u, bar.Read32(0));
    }

    [Fact]
    public void A_proxy_passes_doorbells_on()
    {
        using GuardedServer server = new(new BellFunction());
        using VfioUserClient client = server.ConnectClient();
        client.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        using TestProxy proxy = new(client);
        using VfioUserClient behind = proxy.ConnectClient();
        Doorbell seven = behind.GetDoorbells(RegionIndex.Bar0).Single(bell => bell.Match == 7);
        seven.Event!.Signal();
        byte[] sevens = new byte[4];
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                behind.ReadRegion(RegionIndex.Bar0, 4, sevens);
                return sevens[0] == 1;
            },
            TestTimeout));
    }

    [Fact]
    public void A_client_takes_entries_of_48_bytes_too() => Describe(
        [112, 0, 0, 2, 0x10ul, 4ul, 0, 0, 1, 0, 0x55ul, 9ul, 0x20ul, 0ul, 0, 0, 0, 0, 0ul, 0ul],
        bells => Assert.Equal([(0x10ul, 4, 9ul), (0x20ul, 0, null)], bells.Select(bell => (bell.Offset, bell.Width, bell.Match))));

    public static TheoryData<string, object[]> Nonsense => new()
    {
        { "no entries", [56, 0, 0, 1] },
        { "an ioregionfd", [56, 0, 0, 1, 0ul, 4ul, 0, 1, 0, 0, 0ul] },
        { "an unknown flag", [56, 0, 0, 1, 0ul, 4ul, 0, 0, 8, 0, 0ul] },
        { "a descriptor that was not sent", [56, 0, 0, 1, 0ul, 4ul, 2, 0, 0, 0, 0ul] },
        { "a descriptor that is no eventfd", [56, 0, 0, 1, 0ul, 4ul, 1, 0, 0, 0, 0ul] },
        { "outside the region", [56, 0, 0, 1, 0xfffdul, 4ul, 0, 0, 0, 0, 0ul] },
        { "far outside", [56, 0, 0, 1, ulong.MaxValue, 4ul, 0, 0, 0, 0, 0ul] },
        { "too wide", [56, 0, 0, 1, 0ul, 16ul, 0, 0, 0, 0, 0ul] },
        { "4 Gi of them", [56, 0, 0, uint.MaxValue, 0ul, 4ul, 0, 0, 0, 0, 0ul] },
        { "more than there are", [56, 0, 0, 2, 0ul, 4ul, 0, 0, 0, 0, 0ul] },
    };

    [Theory]
    [MemberData(nameof(Nonsense), DisableDiscoveryEnumeration = true)]
    public void A_client_passes_over_what_makes_no_sense(string what, object[] reply) =>
        Describe(reply, bells => Assert.True(bells.Count == 0, what));

    private static void Describe(object[] reply, Action<IReadOnlyList<Doorbell>> check)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        using EventFd bell = EventFd.Create();
        using SharedMemory file = SharedMemory.Create("no eventfd", 4096);
        Thread thread = new(() =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{}}\0"));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 3, 0, 0, 0x10000ul, 0ul));
            server.Send(RawPeer.Message(server.Receive().Id, 6, 1, reply), bell.Descriptor, file.File);
        });
        thread.Start();
        using VfioUserClient client = new(ours, "unix:test");
        check(client.GetDoorbells(RegionIndex.Bar0));
        Assert.True(thread.Join(TestTimeout));
    }

    /// <summary>A server of another server's device.</summary>
    private sealed class TestProxy : IDisposable
    {
        private readonly VfioUserServer _server;
        private readonly UnixSocket _ours;
        private readonly UnixSocket _theirs;
        private readonly Thread _thread;

        internal TestProxy(IVfioDevice device)
        {
            _server = new VfioUserServer(() => device, new VfioUserServerOptions());
            (_ours, _theirs) = UnixSocket.CreatePair();
            _thread = new Thread(() => _server.Serve(_theirs, CancellationToken.None));
            _thread.Start();
        }

        internal VfioUserClient ConnectClient() => new(_ours, "unix:proxy");

        public void Dispose()
        {
            _ours.Shutdown();
            Assert.True(_thread.Join(TestTimeout));
            _theirs.Dispose();
            _server.Dispose();
        }
    }
}
