using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>DMA_READ (11) and DMA_WRITE (12): the server asks, a client by hand answers, well and badly.</summary>
public sealed class DmaTransferTests
{
    private const ulong Address = 0x10_0000;

    [Fact]
    public void A_read_asks_for_the_address_and_count_and_takes_the_data()
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        using Access access = new(server.Device, Address + 8, 4, write: false);
        RawPeer.Reply asked = peer.Receive();
        Assert.Equal((11, 0u), (asked.Command, asked.Flags));
        Assert.Equal(RawPeer.Bytes(Address + 8, 4ul), asked.Body);
        peer.Send(RawPeer.Message(asked.Id, 11, 1, Address + 8, 4ul, 0x01020304));
        Assert.Equal(Errno.None, access.Result);
        Assert.Equal(0x01020304u, BitConverter.ToUInt32(server.Device.DmaBuffer));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_write_sends_the_data_and_takes_both_forms_of_answer(bool eightBytes)
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        server.Device.DmaBuffer[0] = 0x77;
        using Access access = new(server.Device, Address, 4, write: true);
        RawPeer.Reply asked = peer.Receive();
        Assert.Equal((12, 0u), (asked.Command, asked.Flags));
        Assert.Equal(RawPeer.Bytes(Address, 4ul, 0x77), asked.Body);
        peer.Send(eightBytes ? RawPeer.Message(asked.Id, 12, 1, Address, 4ul) : RawPeer.Message(asked.Id, 12, 1, Address, 4));
        Assert.Equal(Errno.None, access.Result);
    }

    [Fact]
    public void An_error_of_the_client_reaches_the_device_and_the_session_continues()
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        using Access access = new(server.Device, Address, 4, write: false);
        peer.Send(RefusalOf(peer.Receive().Id, 14));
        Assert.Equal(Errno.BadAddress, access.Result);
        _ = peer.Ask(9, [0ul, 0, 4]).Success;
    }

    [Fact]
    public void Commands_that_come_before_the_answer_are_done_after_it()
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        StartInSession(peer);
        RawPeer.Reply asked = peer.Receive();
        Assert.Equal(11, asked.Command);
        peer.Send([
            .. RawPeer.Message(101, 9, 0, 0ul, 7, 4),
            .. RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 0x55),
            .. RawPeer.Message(102, 9, 0, FakeDevice.DmaError, 0, 4)]);
        Assert.Equal((100, 1u), (peer.Receive().Id, 1u));
        Assert.Equal(101, peer.Receive().Id);
        Assert.Equal(RawPeer.Bytes(FakeDevice.DmaError, 0, 4, 0), peer.Receive().Success);
        Assert.Equal(0x55, server.Device.DmaBuffer[0]);
    }

    [Fact]
    public void Descriptors_that_come_before_the_answer_stay_with_their_command()
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        using SharedMemory memory = SharedMemory.Create("later", 0x1000);
        StartInSession(peer);
        RawPeer.Reply asked = peer.Receive();
        byte[] map = RawPeer.Message(101, 2, 0, 32, 3, 0ul, 0x900000ul, 0x1000ul);
        peer.Send(RawPeer.Message(102, 9, 0, 0ul, 0, 4));
        peer.Send(map, memory.File);
        peer.Send(RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 0x55), memory.File);
        Assert.Equal(100, peer.Receive().Id);
        Assert.Equal(102, peer.Receive().Id);
        Assert.Empty(peer.Receive().Success);
        Assert.NotNull(server.Device.Mappings[^1].Memory.Shared);
    }

    [Fact]
    public void Replies_that_wait_are_sent_before_the_server_asks()
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        SetRegisters(peer);
        peer.Send([.. RawPeer.Message(99, 9, 0, 0ul, 0, 4), .. RawPeer.Message(100, 10, 0, FakeDevice.DmaGo, 0, 4, 1)]);
        Assert.Equal(99, peer.Receive().Id);
        RawPeer.Reply asked = peer.Receive();
        Assert.Equal(11, asked.Command);
        peer.Send(RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 0));
        Assert.Equal(100, peer.Receive().Id);
    }

    [Fact]
    public void A_device_thread_is_answered_while_the_session_waits_for_it()
    {
        using TestServer server = new(() => new FakeDevice { UsesThread = true });
        using RawPeer peer = Map(server);
        StartInSession(peer);
        RawPeer.Reply asked = peer.Receive();
        Assert.Equal(11, asked.Command);
        peer.Send([.. RawPeer.Message(101, 9, 0, 0ul, 0, 4), .. RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 0x66)]);
        Assert.Equal(100, peer.Receive().Id);
        Assert.Equal(101, peer.Receive().Id);
        Assert.Equal(0x66, server.Device.DmaBuffer[0]);
    }

    [Fact]
    public void No_answer_in_time_is_ETIMEDOUT_and_a_late_one_is_let_pass()
    {
        using TestServer server = new(options: new VfioUserServerOptions { DmaTimeout = TimeSpan.FromMilliseconds(30) });
        using RawPeer peer = Map(server);
        using Access access = new(server.Device, Address, 4, write: false);
        RawPeer.Reply asked = peer.Receive();
        Assert.Equal(Errno.TimedOut, access.Result);
        peer.Send(RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 0));
        _ = peer.Ask(9, [0ul, 0, 4]).Success;
    }

    [Fact]
    public void More_commands_than_the_buffer_holds_fail_the_access_and_not_the_session()
    {
        using TestServer server = new(options: new VfioUserServerOptions { DmaTimeout = HangGuard.Timeout });
        using RawPeer peer = Map(server);
        StartInSession(peer);
        Assert.Equal(11, peer.Receive().Command);
        byte[] write = RawPeer.Message(7, 10, 0x10, 0ul, 2, 1 << 20, new byte[1 << 20]);
        for (int i = 0; i < 4; i++)
            peer.Send(write);
        Assert.Equal(100, peer.Receive().Id);
        // ENOBUFS.
        Assert.Equal(RawPeer.Bytes(FakeDevice.DmaError, 0, 4, 105), peer.Ask(9, [FakeDevice.DmaError, 0, 4]).Success);
    }

    public static TheoryData<ulong, ulong, int> WrongAnswers => new()
    {
        { Address + 1, 4, 4 },
        { Address, 5, 4 },
        { Address, 4, 5 },
        { Address, 4, 3 },
        { Address, ulong.MaxValue, 4 },
        { Address, 4, 0 },
    };

    [Theory]
    [MemberData(nameof(WrongAnswers))]
    public void An_answer_to_something_else_ends_the_session(ulong address, ulong count, int data)
    {
        using TestServer server = new();
        using RawPeer peer = Map(server);
        using Access access = new(server.Device, Address, 4, write: false);
        peer.Send(RawPeer.Message(peer.Receive().Id, 11, 1, address, count, new byte[data]));
        Assert.Equal(Errno.NotConnected, access.Result);
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
    }

    [Fact]
    public void An_access_is_cut_to_what_the_client_takes()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        _ = peer.Ask(1, [(ushort)0, (ushort)1, "{\"capabilities\":{\"max_data_xfer_size\":6}}\0"]).Success;
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, Address, 0x1000ul]).Success);
        using Access access = new(server.Device, Address, 8, write: false);
        RawPeer.Reply first = peer.Receive();
        Assert.Equal(RawPeer.Bytes(Address, 6ul), first.Body);
        peer.Send(RawPeer.Message(first.Id, 11, 1, Address, 6ul, new byte[6]));
        RawPeer.Reply second = peer.Receive();
        Assert.Equal(RawPeer.Bytes(Address + 6, 2ul), second.Body);
        peer.Send(RawPeer.Message(second.Id, 11, 1, Address + 6, 2ul, new byte[2]));
        Assert.Equal(Errno.None, access.Result);
    }

    [Fact]
    public void A_client_that_leaves_fails_the_access_at_once()
    {
        using TestServer server = new();
        RawPeer peer = Map(server);
        using Access access = new(server.Device, Address, 4, write: false);
        Assert.Equal(11, peer.Receive().Command);
        peer.Dispose();
        Assert.Equal(Errno.NotConnected, access.Result);
        server.WaitForSessions();
    }

    private static RawPeer Map(TestServer server)
    {
        RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, Address, 0x100000ul]).Success);
        return peer;
    }

    private static void SetRegisters(RawPeer peer)
    {
        _ = peer.Ask(10, [FakeDevice.DmaAddress, 0, 8, Address]).Success;
        _ = peer.Ask(10, [FakeDevice.DmaLength, 0, 8, 4ul]).Success;
    }

    /// <summary>Lets the device read in the middle of a write with id 100.</summary>
    private static void StartInSession(RawPeer peer)
    {
        SetRegisters(peer);
        peer.Send(RawPeer.Message(100, 10, 0, FakeDevice.DmaGo, 0, 4, 1));
    }

    private static byte[] RefusalOf(ushort id, uint errno)
    {
        byte[] refusal = RawPeer.Message(id, 11, 0x21);
        BitConverter.TryWriteBytes(refusal.AsSpan(12), errno);
        return refusal;
    }

    /// <summary>An access of the device by a thread of its own.</summary>
    private sealed class Access : IDisposable
    {
        private readonly Thread _thread;
        private Errno _result;

        internal Access(FakeDevice device, ulong address, int length, bool write)
        {
            _thread = new Thread(() => _result = device.Transfer(address, length, write));
            _thread.Start();
        }

        internal Errno Result
        {
            get
            {
                Assert.True(_thread.Join(HangGuard.Timeout), "the access did not end");
                return _result;
            }
        }

        public void Dispose() => _ = Result;
    }
}
