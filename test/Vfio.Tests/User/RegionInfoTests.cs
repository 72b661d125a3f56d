using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Tests.User;

/// <summary>DEVICE_GET_REGION_INFO (5) at the socket.</summary>
public sealed class RegionInfoTests
{
    [Fact]
    public void A_region_by_message_only_has_no_descriptor()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(32, 3, 0, 0, 4096ul, 0ul), Ask(peer, 32, 0));
        Assert.Equal(0, peer.Descriptors.Count);
    }

    [Fact]
    public void An_absent_region_is_empty()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(32, 0, 1, 0, 0ul, 0ul), Ask(peer, 32, 1));
    }

    [Fact]
    public void Too_little_space_for_the_mmap_areas_returns_the_needed_size_and_no_capabilities()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        // 32 bytes, a capability header of 8, 8 more, and three areas of 16.
        Assert.Equal(RawPeer.Bytes(96, 7, 2, 0, 1048576ul, 0ul), Ask(peer, 95, 2));
        Assert.Equal(1, peer.Descriptors.Count);
    }

    [Theory]
    [InlineData(96u)]
    [InlineData(4096u)]
    public void With_enough_space_the_mmap_areas_follow_as_a_capability(uint argsz)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        byte[] expected = RawPeer.Bytes(
            96, 15, 2, 32, 1048576ul, 0ul, (ushort)1, (ushort)1, 0, 3, 0, 0ul, 0x1000ul, 0x3000ul, 0x2000ul, 0x10000ul, 0x80000ul);
        Assert.Equal(expected, Ask(peer, argsz, 2));
        using FileDescriptor file = peer.Descriptors.Take()!;
        Assert.Equal(1048576ul, FileIdentity.Of(file).LengthBytes);
    }

    [Fact]
    public void The_descriptor_comes_with_its_own_message_among_others()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        byte[] info = RawPeer.Message(1, 4, 0, 16, 0, 0, 0);
        byte[] region = RawPeer.Message(2, 5, 0, 96, 0, 2, 0, 0ul, 0ul);
        peer.Send([.. info, .. region, .. info]);
        Assert.Equal(16, peer.Receive().Success.Length);
        Assert.Equal(0, peer.Descriptors.Count);
        Assert.Equal(96, peer.Receive().Success.Length);
        Assert.Equal(1, peer.Descriptors.Count);
        Assert.Equal(16, peer.Receive().Success.Length);
    }

    [Fact]
    public void A_client_that_takes_no_descriptors_is_offered_no_mapping()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        _ = peer.Ask(1, [(ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":0}}\0"]).Success;
        Assert.Equal(RawPeer.Bytes(32, 3, 2, 0, 1048576ul, 0ul), Ask(peer, 4096, 2));
        Assert.Equal(0, peer.Descriptors.Count);
    }

    [Theory]
    [InlineData(31u, 0u)]
    [InlineData(0u, 0u)]
    [InlineData(32u, 9u)]
    [InlineData(32u, uint.MaxValue)]
    public void Arg_size_too_small_or_an_index_too_large_replies_EINVAL(uint argsz, uint index)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(5, [argsz, 0, index, 0, 0ul, 0ul]).Refusal);
    }

    [Fact]
    public void A_body_too_short_replies_EINVAL()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(5, [32, 0, 0, 0, 0ul]).Refusal);
    }

    private static byte[] Ask(RawPeer peer, uint argsz, uint index) => peer.Ask(5, [argsz, 0, index, 0, 0ul, 0ul]).Success;
}
