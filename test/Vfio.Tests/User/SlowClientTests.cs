using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Clients that are silent, stop half-way or never read: bounded time and memory, and the server can always stop.</summary>
public sealed class SlowClientTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);

    [Fact]
    public void A_client_that_never_negotiates_is_dropped()
    {
        using TestServer server = new(options: new VfioUserServerOptions { HandshakeTimeout = Soon });
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
    }

    [Fact]
    public void A_client_that_negotiates_byte_by_byte_is_dropped()
    {
        using TestServer server = new(options: new VfioUserServerOptions { HandshakeTimeout = TimeSpan.FromMilliseconds(200) });
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        byte[] message = RawPeer.Message(1, 1, 0, (ushort)0, (ushort)1, new byte[4000]);
        foreach (byte one in message)
        {
            if (peer.Socket.Send([one], default, default, wait: true, out _) < 0)
                break;
            Thread.Sleep(1);
        }

        Assert.True(peer.IsClosed());
    }

    [Fact]
    public void A_client_that_stops_in_a_message_is_dropped()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MessageTimeout = Soon });
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Message(1, 9, 0, 0ul, 0, 4).AsSpan(0, 20));
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
    }

    [Fact]
    public void A_client_may_be_silent_between_messages()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MessageTimeout = Soon, HandshakeTimeout = HangGuard.Timeout });
        using RawPeer peer = server.ConnectRaw();
        _ = peer.Ask(9, [0ul, 0, 4]).Success;
        Assert.False(Poll.WaitReadable(peer.Socket.Descriptor, 4 * Soon));
        _ = peer.Ask(9, [0ul, 0, 4]).Success;
    }

    [Fact]
    public void A_client_that_is_silent_longer_than_allowed_is_dropped()
    {
        using TestServer server = new(options: new VfioUserServerOptions { IdleTimeout = Soon });
        using RawPeer peer = server.ConnectRaw();
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
    }

    [Fact]
    public void A_client_that_never_reads_is_dropped()
    {
        using TestServer server = new(options: new VfioUserServerOptions { SendTimeout = Soon });
        using RawPeer peer = server.ConnectRaw();
        byte[] read = RawPeer.Message(1, 9, 0, 0ul, 2, 1 << 20);
        while (peer.Socket.Send(read, default, default, wait: false, out Errno error) > 0 || error == Errno.TryAgain)
        {
            if (error == Errno.TryAgain)
                Poll.WaitEither(peer.Socket.Descriptor, Soon);
        }

        server.WaitForSessions();
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 0)]
    [InlineData(true, 20)]
    public void The_server_can_stop_while_a_client_is_silent(bool negotiate, int bytes)
    {
        TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate);
        peer.Send(RawPeer.Message(1, 9, 0, 0ul, 0, 4).AsSpan(0, bytes));
        server.Dispose();
        Assert.True(peer.IsClosed());
    }

    [Fact]
    public void The_server_can_stop_while_a_client_does_not_read()
    {
        TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Message(1, 9, 0, 0ul, 2, 1 << 20));
        // The first byte of the reply shows that the server is sending more than the socket holds.
        Assert.Equal(16, peer.ReceiveExactly(16).Length);
        server.Dispose();
        Assert.True(peer.IsClosed());
    }
}
