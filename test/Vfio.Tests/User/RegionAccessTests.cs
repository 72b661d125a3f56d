using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>REGION_READ (9) and REGION_WRITE (10) at the socket.</summary>
public sealed class RegionAccessTests
{
    [Fact]
    public void A_write_is_answered_with_its_head_and_read_back_with_data()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(8ul, 0, 4), peer.Ask(10, [8ul, 0, 4, 0x04030201]).Success);
        Assert.Equal(RawPeer.Bytes(8ul, 0, 4, 0x04030201), peer.Ask(9, [8ul, 0, 4]).Success);
        Assert.Equal(RawPeer.Bytes(9ul, 0, 1, new byte[] { 2 }), peer.Ask(9, [9ul, 0, 1]).Success);
    }

    [Fact]
    public void A_write_without_reply_is_done_and_not_answered()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Message(7, 10, 0x10, 8ul, 0, 4, 0x55667788));
        peer.Send(RawPeer.Message(8, 10, 0x10, 5000ul, 0, 4, 0x55667788));
        Assert.Equal(RawPeer.Bytes(8ul, 0, 4, 0x55667788), peer.Ask(9, [8ul, 0, 4]).Success);
    }

    [Fact]
    public void Nothing_is_read_or_written_with_a_count_of_0()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(4096ul, 0, 0), peer.Ask(9, [4096ul, 0, 0]).Success);
        Assert.Equal(RawPeer.Bytes(0ul, 0, 0), peer.Ask(10, [0ul, 0, 0]).Success);
    }

    [Theory]
    [InlineData(4096ul, 0u, 1u)]
    [InlineData(4093ul, 0u, 4u)]
    [InlineData(ulong.MaxValue, 0u, 1u)]
    [InlineData(ulong.MaxValue - 3, 0u, 4u)]
    [InlineData(0ul, 0u, 4097u)]
    [InlineData(0ul, 0u, uint.MaxValue)]
    [InlineData(0ul, 2u, 1048577u)]
    [InlineData(0ul, 1u, 4u)]
    [InlineData(0ul, 9u, 4u)]
    [InlineData(0ul, uint.MaxValue, 4u)]
    public void A_read_that_leaves_the_region_replies_EINVAL(ulong offset, uint region, uint count)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(9, [offset, region, count]).Refusal);
    }

    [Theory]
    [InlineData(4093ul, 0u, 4u, 4)]
    [InlineData(ulong.MaxValue - 3, 0u, 4u, 4)]
    [InlineData(0ul, 9u, 4u, 4)]
    [InlineData(0ul, 0u, 5u, 4)]
    [InlineData(0ul, 0u, 3u, 4)]
    [InlineData(0ul, 0u, uint.MaxValue, 4)]
    [InlineData(0ul, 0u, 0xfffffff0u, 0)]
    public void A_write_that_leaves_the_region_or_has_other_data_replies_EINVAL(ulong offset, uint region, uint count, int data)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(10, [offset, region, count, new byte[data]]).Refusal);
    }

    [Fact]
    public void A_count_above_the_negotiated_size_replies_EINVAL()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MaxDataTransferBytes = 4096 });
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(9, [0ul, 2, 4097]).Refusal);
        Assert.Equal(4112, peer.Ask(9, [0ul, 2, 4096]).Success.Length);
    }

    [Fact]
    public void A_body_too_short_replies_EINVAL()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(22u, peer.Ask(9, [0ul, 0]).Refusal);
        Assert.Equal(22u, peer.Ask(10, [0ul, 0]).Refusal);
        Assert.Equal(22u, peer.Ask(10, []).Refusal);
    }

    [Fact]
    public void A_write_of_a_read_only_region_replies_EACCES()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(13u, peer.Ask(10, [0ul, 6, 4, 1]).Refusal);
    }

    [Fact]
    public void A_device_that_throws_replies_EIO_and_the_session_continues()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(5u, peer.Ask(9, [FakeDevice.Faulty, 0, 4]).Refusal);
        Assert.Equal(20, peer.Ask(9, [0ul, 0, 4]).Success.Length);
    }

    [Theory]
    [InlineData(0x10000ul, 16384, 0)]
    [InlineData(0x10001ul, 16385, 0)]
    [InlineData(0x10000ul, 0x80000, 0)]
    [InlineData(0x8f000ul, 4096, 1)]
    [InlineData(0x10000ul, 16383, 1)]
    [InlineData(0x10000ul, 0x80001, 1)]
    [InlineData(0xf000ul, 16384, 1)]
    public void A_large_read_of_what_can_be_mapped_does_not_bother_the_device(ulong offset, int count, int reads)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        byte[] data = new byte[1 << 20];
        new Random(6).NextBytes(data);
        _ = peer.Ask(10, [0ul, 2, 1 << 20, data]).Success;
        byte[] small = RawPeer.Message(1, 9, 0, 0ul, 2, 4);
        peer.Send([.. small, .. RawPeer.Message(2, 9, 0, offset, 2, count), .. small]);
        Assert.Equal(20, peer.Receive().Success.Length);
        byte[] read = peer.Receive().Success;
        Assert.Equal(RawPeer.Bytes(offset, 2, count), read.AsSpan(0, 16));
        Assert.True(read.AsSpan(16).SequenceEqual(data.AsSpan((int)offset, count)));
        Assert.Equal(20, peer.Receive().Success.Length);
        Assert.Equal(2 + reads, server.Device.SharedReads);
    }

    [Fact]
    public void Five_hundred_reads_in_one_send_are_answered_in_order()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        _ = peer.Ask(10, [0ul, 0, 4, 0xcafe]).Success;
        byte[] all = [.. Enumerable.Range(1, 500).SelectMany(id => RawPeer.Message((ushort)id, 9, 0, 0ul, 0, 4))];
        peer.Send(all);
        for (int id = 1; id <= 500; id++)
        {
            RawPeer.Reply reply = peer.Receive();
            Assert.Equal(id, reply.Id);
            Assert.Equal(RawPeer.Bytes(0ul, 0, 4, 0xcafe), reply.Success);
        }
    }
}
