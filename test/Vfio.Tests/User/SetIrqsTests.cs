using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.User;

/// <summary>DEVICE_SET_IRQS (8) at the socket. Flags: 1 none, 2 bool, 4 eventfd; 8 mask, 0x10 unmask, 0x20 trigger.</summary>
public sealed class SetIrqsTests
{
    [Fact]
    public void An_eventfd_is_bound_and_signalled()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using EventFd one = EventFd.Create();
        using EventFd two = EventFd.Create();
        Assert.Empty(peer.Ask(8, [20, 0x24, 2, 3, 2], one.Descriptor, two.Descriptor).Success);
        Assert.Empty(peer.Ask(8, [20, 0x21, 2, 4, 1]).Success);
        Assert.Equal((0ul, 1ul), (one.Drain(), two.Drain()));
        Assert.Empty(peer.Ask(8, [22, 0x22, 2, 3, 2, new byte[] { 1, 0 }]).Success);
        Assert.Equal((1ul, 0ul), (one.Drain(), two.Drain()));
    }

    [Fact]
    public void No_descriptors_take_those_of_the_range_away()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using EventFd one = EventFd.Create();
        Assert.Empty(peer.Ask(8, [20, 0x24, 2, 0, 1], one.Descriptor).Success);
        Assert.Empty(peer.Ask(8, [20, 0x24, 2, 0, 8]).Success);
        Assert.Empty(peer.Ask(8, [20, 0x21, 2, 0, 1]).Success);
        Assert.Equal(0ul, one.Drain());
        Assert.Equal("Trigger Events MSI-X 0 8", server.Device.Calls[1]);
    }

    [Fact]
    public void Count_0_without_data_disables_the_kind()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(8, [20, 0x21, 2, 0, 0]).Success);
        Assert.Equal(["Trigger None MSI-X 0 0"], server.Device.Calls);
    }

    [Fact]
    public void Mask_and_unmask_reach_the_device()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(8, [20, 0x09, 0, 0, 1]).Success);
        Assert.Empty(peer.Ask(8, [21, 0x12, 0, 0, 1, new byte[] { 1 }]).Success);
        Assert.Equal(["Mask None INTx 0 1", "Unmask Bools INTx 0 1"], server.Device.Calls);
    }

    private static readonly object[][] Bad =
    [
        // argsz, flags, index, start, count, and data
        [19, 0x21, 2, 0, 1],
        [20, 0x21, 5, 0, 1],
        [20, 0x21, uint.MaxValue, 0, 1],
        [20, 0x20, 2, 0, 1],
        [20, 0x01, 2, 0, 1],
        [20, 0x23, 2, 0, 1],
        [20, 0x31, 2, 0, 1],
        [20, 0x61, 2, 0, 1],
        [20, 0x80000021, 2, 0, 1],
        [20, 0x21, 2, 8, 1],
        [20, 0x21, 2, 0, 9],
        [20, 0x21, 2, 7, 2],
        [20, 0x21, 2, 1, uint.MaxValue],
        [20, 0x21, 2, uint.MaxValue, 2],
        [20, 0x21, 1, 0, 1],
        [20, 0x21, 2, 1, 0],
        [20, 0x09, 2, 0, 0],
        [20, 0x22, 2, 0, 0],
        [20, 0x24, 2, 0, 0],
        [20, 0x22, 2, 0, 1],
        [21, 0x22, 2, 0, 1],
        [20, 0x22, 2, 0, 1, new byte[] { 1 }],
        [22, 0x22, 2, 0, 1, new byte[] { 1, 1 }],
        [20, 0x21, 2, 0],
    ];

    [Fact]
    public void What_contradicts_itself_or_leaves_the_vectors_replies_EINVAL() => Assert.All(
        Bad,
        fields =>
        {
            using TestServer server = new();
            using RawPeer peer = server.ConnectRaw();
            Assert.Equal(22u, peer.Ask(8, fields).Refusal);
            Assert.Empty(server.Device.Calls);
        });

    [Theory]
    [InlineData(0x24u, 2u)]
    [InlineData(0x21u, 1u)]
    [InlineData(0x21u, 0u)]
    public void Another_number_of_descriptors_replies_EINVAL(uint flags, uint count)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using EventFd one = EventFd.Create();
        Assert.Equal(22u, peer.Ask(8, [20, flags, 2, 0, count], one.Descriptor).Refusal);
        Assert.Empty(server.Device.Calls);
    }

    [Fact]
    public void A_descriptor_that_is_no_eventfd_replies_EINVAL()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using FileDescriptor file = MemoryFile.Create("not an eventfd", 4096);
        Assert.Equal(22u, peer.Ask(8, [20, 0x24, 2, 0, 1], file).Refusal);
    }
}
