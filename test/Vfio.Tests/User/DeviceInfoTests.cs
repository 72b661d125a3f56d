namespace Vfio.Tests.User;

/// <summary>DEVICE_GET_INFO (4), DEVICE_GET_IRQ_INFO (7) and DEVICE_RESET (13) at the socket.</summary>
public sealed class DeviceInfoTests
{
    [Theory]
    [InlineData(16u)]
    [InlineData(20u)]
    [InlineData(uint.MaxValue)]
    public void The_device_has_a_reset_nine_regions_and_five_kinds_of_interrupt(uint argsz)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(16, 3, 9, 5), peer.Ask(4, [argsz, 0, 0, 0]).Success);
    }

    [Fact]
    public void Arg_size_too_small_replies_EINVAL()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(4, [15, 0, 0, 0]).Refusal);
        Assert.Equal(22u, peer.Ask(7, [15, 0, 2, 0]).Refusal);
    }

    [Fact]
    public void A_body_too_short_replies_EINVAL()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(4, [16, 0, 0]).Refusal);
        Assert.Equal(22u, peer.Ask(4, []).Refusal);
        Assert.Equal(22u, peer.Ask(7, [16, 0, 2]).Refusal);
    }

    [Fact]
    public void Each_kind_of_interrupt_is_described()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(16, 7, 0, 1), peer.Ask(7, [16, 0, 0, 0]).Success);
        Assert.Equal(RawPeer.Bytes(16, 0, 1, 0), peer.Ask(7, [16, 0, 1, 0]).Success);
        Assert.Equal(RawPeer.Bytes(16, 9, 2, 8), peer.Ask(7, [16, 0, 2, 0]).Success);
    }

    [Theory]
    [InlineData(5u)]
    [InlineData(uint.MaxValue)]
    public void An_interrupt_index_that_does_not_exist_replies_EINVAL(uint index)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(7, [16, 0, index, 0]).Refusal);
    }

    [Fact]
    public void A_reset_has_no_body_and_reaches_the_device()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(13, []).Success);
        Assert.Equal(["Reset"], server.Device.Calls);
    }
}
