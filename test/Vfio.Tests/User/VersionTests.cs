using System.Text;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>VERSION (1) at the socket.</summary>
public sealed class VersionTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(7, 1)]
    public void The_lower_minor_version_holds(ushort theirs, ushort agreed)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        byte[] body = peer.Ask(1, [(ushort)0, theirs, "{\"capabilities\":{}}\0"]).Success;
        Assert.Equal(0, BitConverter.ToUInt16(body));
        Assert.Equal(agreed, BitConverter.ToUInt16(body, 2));
    }

    [Fact]
    public void The_reply_names_only_what_the_client_named()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        byte[] body = peer.Ask(1, [(ushort)0, (ushort)0, "{\"capabilities\":{\"max_msg_fds\":8,\"max_dma_maps\":100,\"migration\":{}}}\0"]).Success;
        Assert.Equal("{\"capabilities\":{\"max_msg_fds\":16,\"max_dma_maps\":100}}\0", Encoding.UTF8.GetString(body.AsSpan(4)));
    }

    [Fact]
    public void All_that_QEMU_names_is_answered_within_its_limits()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        const string Qemu = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,\"max_dma_maps\":65535,\"pgsizes\":4096,"
            + "\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456},\"write_multiple\":true}}\0";
        byte[] body = peer.Ask(1, [(ushort)0, (ushort)0, Qemu]).Success;
        Assert.Equal(
            "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"max_dma_maps\":65535,\"pgsizes\":4096,\"write_multiple\":true}}\0",
            Encoding.UTF8.GetString(body.AsSpan(4)));
    }

    [Fact]
    public void Capabilities_are_optional()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        Assert.Equal("{\"capabilities\":{}}\0", Encoding.UTF8.GetString(peer.Ask(1, [(ushort)0, (ushort)1]).Success.AsSpan(4)));
    }

    private static readonly object[][] Bad =
    [
        [(ushort)1, (ushort)0],
        [(ushort)0],
        [(ushort)0, (ushort)1, "{\"capabilities\":{}}"],
        [(ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":\"x\"}}\0"],
        [(ushort)0, (ushort)1, new byte[5000]],
    ];

    [Fact]
    public void What_cannot_be_agreed_is_answered_EINVAL_and_ends_the_session() => Assert.All(
        Bad,
        fields =>
        {
            using TestServer server = new();
            using RawPeer peer = server.ConnectRaw(negotiate: false);
            Assert.Equal(22u, peer.Ask(1, fields).Refusal);
            Assert.True(peer.IsClosed());
            server.WaitForSessions();
            Assert.Empty(server.Devices);
        });

    [Fact]
    public void Any_other_command_first_is_answered_EINVAL_and_ends_the_session()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        Assert.Equal(22u, peer.Ask(4, [16, 0, 0, 0]).Refusal);
        Assert.True(peer.IsClosed());
        Assert.Empty(server.Devices);
    }

    [Fact]
    public void A_second_time_is_answered_EINVAL_and_the_session_continues()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(1, [(ushort)0, (ushort)1]).Refusal);
        Assert.Equal(16, peer.Ask(4, [16, 0, 0, 0]).Success.Length);
    }

    [Fact]
    public void A_device_that_cannot_be_opened_returns_its_errno()
    {
        using VfioUserServer server = new(
            () => throw new VfioException("open", "a card", Errno.Busy), new VfioUserServerOptions());
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread session = new(() => server.Serve(theirs, CancellationToken.None));
        session.Start();
        VfioException refusal = Assert.Throws<VfioException>(() => new VfioUserClient(ours, "unix:test"));
        Assert.Equal(Errno.Busy, refusal.Errno);
        Assert.True(session.Join(HangGuard.Timeout));
        theirs.Dispose();
    }
}
