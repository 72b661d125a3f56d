using System.Text;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>REGION_WRITE_MULTI (15): many small writes as one message.</summary>
public sealed class RegionWriteMultiTests
{
    [Fact]
    public void Writes_are_done_in_their_order_and_counted()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        byte[] reply = peer.Ask(15, [3ul, 0ul, 0, 4, 0x1111_1111ul, 8ul, 0, 8, 0x2222_2222_2222_2222ul, 2ul, 0, 1, 0xffff_ff33ul]).Success;
        Assert.Equal(RawPeer.Bytes(3ul), reply);
        Assert.Equal(
            Convert.FromHexString("11113311" + "00000000" + "2222222222222222"),
            peer.Ask(9, [0ul, 0, 16]).Success.AsSpan(16).ToArray());
    }

    [Fact]
    public void A_posted_message_has_no_reply_and_comes_before_what_follows()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Message(9, 15, 0x10, 2ul, 0ul, 0, 4, 1ul, 4ul, 0, 4, 2ul));
        Assert.Equal(RawPeer.Bytes(1, 2), peer.Ask(9, [0ul, 0, 8]).Success.AsSpan(16).ToArray());
    }

    [Fact]
    public void No_writes_at_all_are_none_done()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Equal(RawPeer.Bytes(0ul), peer.Ask(15, [0ul]).Success);
        Assert.Equal(RawPeer.Bytes(1ul), peer.Ask(15, [1ul, 0ul, 0, 0, 0ul]).Success);
    }

    public static TheoryData<string, uint, object[]> Malformed => new()
    {
        { "no count", 22, [] },
        { "half a count", 22, [1] },
        { "fewer than announced", 22, [2ul, 0ul, 0, 4, 7ul] },
        { "more than announced", 22, [1ul, 0ul, 0, 4, 7ul, 4ul, 0, 4, 7ul] },
        { "as many as wrap", 22, [(1ul << 61) + 1, 0ul, 0, 4, 7ul] },
        { "a count of all ones", 22, [ulong.MaxValue, 0ul, 0, 4, 7ul] },
        { "a write cut off", 22, [1ul, 0ul, 0, 4, 7] },
        { "9 bytes", 22, [2ul, 0ul, 0, 4, 7ul, 8ul, 0, 9, 7ul] },
        { "no such region", 22, [2ul, 0ul, 0, 4, 7ul, 0ul, 9, 4, 7ul] },
        { "outside the region", 22, [2ul, 0ul, 0, 4, 7ul, 4093ul, 0, 4, 7ul] },
        { "an offset that wraps", 22, [2ul, 0ul, 0, 4, 7ul, ulong.MaxValue, 0, 4, 7ul] },
        { "a region that cannot be written", 13, [2ul, 0ul, 0, 4, 7ul, 0ul, 6, 4, 7ul] },
    };

    [Theory]
    [MemberData(nameof(Malformed), DisableDiscoveryEnumeration = true)]
    public void One_that_cannot_be_is_refused_and_nothing_is_written(string what, uint errno, object[] fields)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        uint refusal = peer.Ask(15, fields).Refusal;
        Assert.True(refusal == errno, $"{what}: {refusal}");
        Assert.Equal(new byte[8], peer.Ask(9, [0ul, 0, 8]).Success.AsSpan(16).ToArray());
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("\"write_multiple\":true", "\"write_multiple\":true")]
    [InlineData("\"write_multiple\":false", "\"write_multiple\":true")]
    public void It_is_offered_where_the_client_names_it(string named, string offered)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        byte[] body = peer.Ask(1, [(ushort)0, (ushort)1, $"{{\"capabilities\":{{{named}}}}}\0"]).Success;
        Assert.Equal($"{{\"capabilities\":{{{offered}}}}}\0", Encoding.UTF8.GetString(body.AsSpan(4)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_client_writes_registers_of_any_number(bool posted)
    {
        using TestServer server = new(() => new FakeDevice { IsMappable = false });
        using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { PostedWrites = posted });
        RegisterWrite[] writes = [.. Enumerable.Range(0, 300).Select(i => new RegisterWrite(RegionIndex.Bar0, 0x800 + (ulong)(4 * i), 4, (ulong)i + 1))];
        client.WriteRegions(writes);
        byte[] bytes = new byte[1200];
        client.ReadRegion(RegionIndex.Bar0, 0x800, bytes);
        Assert.Equal(RawPeer.Bytes([.. Enumerable.Range(1, 300).Select(i => (object)i)]), bytes);
    }

    [Fact]
    public void A_client_learns_which_write_failed()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        RegisterWrite[] writes = [new(RegionIndex.Bar0, 0, 4, 1), new(RegionIndex.Bar0, 0x1000, 4, 1)];
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => client.WriteRegions(writes)).Errno);
        Assert.Throws<ArgumentOutOfRangeException>(() => client.WriteRegions([new(RegionIndex.Bar0, 0, 9, 1)]));
        Assert.Throws<ArgumentOutOfRangeException>(() => client.WriteRegions([new(RegionIndex.Bar0, 0, 0, 1)]));
    }

    [Fact]
    public void A_server_that_does_not_offer_it_gets_single_writes()
    {
        List<ushort> commands = Serve("{\"capabilities\":{}}\0", 2, (server, asked) => server.Send(RawPeer.Message(asked.Id, 10, 1, asked.Body[..16])));
        Assert.Equal([10, 10], commands);
    }

    [Fact]
    public void A_server_that_offers_it_gets_one_message()
    {
        byte[]? body = null;
        List<ushort> commands = Serve("{\"capabilities\":{\"write_multiple\":true}}\0", 1, (server, asked) =>
        {
            body = asked.Body;
            server.Send(RawPeer.Message(asked.Id, 15, 1, 2ul));
        });
        Assert.Equal([15], commands);
        Assert.Equal(RawPeer.Bytes(2ul, 0x10ul, 0, 4, 5ul, 0x18ul, 0, 8, ulong.MaxValue), body);
    }

    [Theory]
    [InlineData(1ul, Errno.InputOutput)]
    [InlineData(3ul, Errno.Protocol)]
    public void A_server_that_did_others_than_it_was_asked_to_is_an_error(ulong done, Errno errno)
    {
        VfioException? refusal = null;
        Serve(
            "{\"capabilities\":{\"write_multiple\":true}}\0",
            1,
            (server, asked) => server.Send(RawPeer.Message(asked.Id, 15, 1, done)),
            client => refusal = Assert.Throws<VfioException>(() => client()));
        Assert.Equal(errno, refusal?.Errno);
    }

    [Fact]
    public void Bars_write_batches_without_a_reply_each()
    {
        using TestServer server = new(() => new FakeDevice { IsMappable = false });
        using PciDevice device = new(server.ConnectClient());
        Bar bar = device.OpenBar(0);
        bar.Write([RegisterWrite.Of8(0x10, 1), RegisterWrite.Of16(0x12, 2), RegisterWrite.Of32(0x14, 3), RegisterWrite.Of64(0x18, 4)]);
        Assert.Equal((1, 2, 3u, 4ul), (bar.Read8(0x10), bar.Read16(0x12), bar.Read32(0x14), bar.Read64(0x18)));
        Assert.Throws<ArgumentOutOfRangeException>(() => bar.Write([RegisterWrite.Of32(0x10, 9), RegisterWrite.Of32(0x12, 9)]));
        Assert.Equal(1, bar.Read8(0x10));
    }

    [Fact]
    public void A_mapped_bar_stores_them()
    {
        using TestServer server = new();
        using PciDevice device = new(server.ConnectClient());
        Bar bar = device.OpenBar(2);
        Assert.True(bar.IsMapped(0));
        Assert.False(bar.IsMapped(0x1000));
        bar.Write([RegisterWrite.Of32(0, 1), RegisterWrite.Of32(0x1000, 2), RegisterWrite.Of8(4, 3)]);
        Assert.Equal((1u, 2u, 3), (bar.Read32(0), bar.Read32(0x1000), bar.Read8(4)));
    }

    /// <summary>Two writes of a client to a server by hand; gives the commands that it sent.</summary>
    private static List<ushort> Serve(string capabilities, int messages, Action<RawPeer, RawPeer.Reply> answer, Action<Action>? expect = null)
    {
        List<ushort> commands = [];
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, capabilities));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
            for (int i = 0; i < messages; i++)
            {
                RawPeer.Reply asked = server.Receive();
                commands.Add(asked.Command);
                answer(server, asked);
            }
        });
        thread.Start();
        using (VfioUserClient client = new(ours, "unix:test"))
        {
            void Write() => client.WriteRegions([new(RegionIndex.Bar0, 0x10, 4, 5), new(RegionIndex.Bar0, 0x18, 8, ulong.MaxValue)]);
            if (expect is null)
                Write();
            else
                expect(Write);
        }

        Assert.True(thread.Join(HangGuard.Timeout));
        return commands;
    }
}
