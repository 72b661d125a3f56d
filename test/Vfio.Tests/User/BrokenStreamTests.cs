using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Streams that are cut anywhere, or lead nowhere: the session ends at most, and the next client is served.</summary>
public sealed class BrokenStreamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(16)]
    [InlineData(33)]
    public void A_message_may_come_in_any_pieces(int piece)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        byte[] all = [.. RawPeer.Message(5, 10, 0, 0ul, 0, 4, 0xabcd), .. RawPeer.Message(6, 9, 0, 0ul, 0, 4)];
        foreach (byte[] part in all.Chunk(piece))
            peer.Send(part);
        Assert.Equal(5, peer.Receive().Id);
        Assert.Equal(RawPeer.Bytes(0ul, 0, 4, 0xabcd), peer.Receive().Success);
    }

    [Fact]
    public void A_write_of_a_megabyte_may_come_in_pieces_between_others()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        byte[] data = new byte[1 << 20];
        new Random(5).NextBytes(data);
        byte[] read = RawPeer.Message(1, 9, 0, 0ul, 0, 4);
        byte[] all = [.. read, .. RawPeer.Message(2, 10, 0, 0ul, 2, 1 << 20, data), .. read];
        foreach (byte[] part in all.Chunk(50_001))
            peer.Send(part);
        Assert.Equal(20, peer.Receive().Success.Length);
        Assert.Equal(RawPeer.Bytes(0ul, 2, 1 << 20), peer.Receive().Success);
        Assert.Equal(20, peer.Receive().Success.Length);
        Assert.True(peer.Ask(9, [0ul, 2, 1 << 20]).Success.AsSpan(16).SequenceEqual(data));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(15u)]
    [InlineData((1u << 20) + 0x10000)]
    [InlineData(uint.MaxValue)]
    public void A_size_that_no_message_has_ends_the_session(uint size)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Bytes((ushort)9, (ushort)9, size, 0, 0, 0ul, 0, 4));
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
        CheckServesNext(server);
    }

    [Fact]
    public void What_came_before_the_break_is_answered()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        peer.Send([.. RawPeer.Message(3, 9, 0, 0ul, 0, 4), .. new byte[64]]);
        Assert.Equal(3, peer.Receive().Id);
        Assert.True(peer.IsClosed());
    }

    [Theory]
    [InlineData(0x1u)]
    [InlineData(0x21u)]
    [InlineData(0x2u)]
    [InlineData(0xfu)]
    public void A_reply_to_nothing_or_an_unknown_type_ends_the_session(uint flags)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Message(9, 11, flags, 0ul, 4ul, 0));
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
        CheckServesNext(server);
    }

    [Theory]
    [InlineData(0, 22u)]
    [InlineData(11, 22u)]
    [InlineData(12, 22u)]
    [InlineData(14, 22u)]
    [InlineData(16, 22u)]
    [InlineData(17, 25u)]
    [InlineData(18, 25u)]
    [InlineData(19, 22u)]
    [InlineData(65535, 22u)]
    public void A_command_that_is_not_served_is_refused_and_the_session_continues(int command, uint errno)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(errno, peer.Ask((ushort)command, [0ul, 0ul]).Refusal);
        Assert.Equal(20, peer.Ask(9, [0ul, 0, 4]).Success.Length);
    }

    [Fact]
    public void Half_a_message_and_a_close_end_the_session()
    {
        using TestServer server = new();
        using (RawPeer peer = server.ConnectRaw())
            peer.Send(RawPeer.Message(1, 10, 0, 0ul, 0, 4, 1).AsSpan(0, 25));
        server.WaitForSessions();
        CheckServesNext(server);
    }

    [Fact]
    public void Posted_writes_before_a_close_are_done()
    {
        using TestServer server = new();
        using (RawPeer peer = server.ConnectRaw())
            peer.Send(RawPeer.Message(1, 8, 0x10, 20, 0x21, 2, 0, 0));
        server.WaitForSessions();
        Assert.Equal(["Trigger None MSI-X 0 0"], server.Device.Calls);
    }

    [Fact]
    public void Too_many_waiting_descriptors_end_the_session()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using FileDescriptor file = MemoryFile.Create("many", 4096);
        FileDescriptor[] many = [.. Enumerable.Repeat(file, 253)];
        byte[] message = RawPeer.Message(1, 10, 0, 0ul, 0, 8, 0ul);
        for (int i = 0; i < 3; i++)
            peer.Send(message.AsSpan(i, 1), many);
        Assert.True(peer.IsClosed());
        CheckServesNext(server);
    }

    private static void CheckServesNext(TestServer server)
    {
        using VfioUserClient client = server.ConnectClient();
        byte[] four = [1, 2, 3, 4];
        client.WriteRegion(RegionIndex.Bar0, 0, four);
        client.ReadRegion(RegionIndex.Bar0, 4, four);
        Assert.Equal(new byte[4], four);
    }
}
