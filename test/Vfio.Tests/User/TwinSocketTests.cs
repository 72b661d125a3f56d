using System.Text;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Tests.User;

/// <summary>The twin socket: the server's DMA requests and their answers on a socket of their own.</summary>
public sealed class TwinSocketTests
{
    private const ulong Address = 0x10_0000;
    private const string Offer = "{\"capabilities\":{\"max_msg_fds\":8,\"twin_socket\":{\"supported\":true}}}\0";
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public void A_client_that_offers_it_gets_the_socket_named_by_its_index()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        byte[] body = peer.Ask(1, [(ushort)0, (ushort)1, Offer]).Success;
        Assert.Equal(
            "{\"capabilities\":{\"max_msg_fds\":16,\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}\0",
            Encoding.UTF8.GetString(body.AsSpan(4)));
        Assert.Equal(1, peer.Descriptors.Count);
    }

    [Theory]
    [InlineData("{\"capabilities\":{\"twin_socket\":{\"supported\":false}}}\0", "{\"capabilities\":{\"twin_socket\":{\"supported\":false}}}\0")]
    [InlineData("{\"capabilities\":{\"twin_socket\":{}}}\0", "{\"capabilities\":{}}\0")]
    [InlineData("{\"capabilities\":{\"max_msg_fds\":0,\"twin_socket\":{\"supported\":true}}}\0",
        "{\"capabilities\":{\"max_msg_fds\":16,\"twin_socket\":{\"supported\":false}}}\0")]
    public void A_client_that_does_not_gets_none(string named, string offered)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw(negotiate: false);
        byte[] body = peer.Ask(1, [(ushort)0, (ushort)1, named]).Success;
        Assert.Equal(offered, Encoding.UTF8.GetString(body.AsSpan(4)));
        Assert.Equal(0, peer.Descriptors.Count);
    }

    [Fact]
    public void The_server_asks_there_and_the_main_socket_stays_free()
    {
        using TestServer server = new(() => new FakeDevice { UsesThread = true });
        using Twins twins = new(server);
        twins.StartRead(count: 4);
        RawPeer.Reply asked = twins.Twin.Receive();
        Assert.Equal((11, 0u), (asked.Command, asked.Flags));
        Assert.Equal(RawPeer.Bytes(Address, 4ul), asked.Body);
        twins.Twin.Send(RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 0x01020304));
        Assert.Equal((100, 10), Names(twins.Main.Receive()));
        Assert.Equal(0x01020304u, BitConverter.ToUInt32(server.Device.DmaBuffer));
    }

    [Fact]
    public void A_refusal_there_reaches_the_device()
    {
        using TestServer server = new();
        using Twins twins = new(server);
        twins.StartRead(count: 4);
        byte[] refusal = RawPeer.Message(twins.Twin.Receive().Id, 11, 0x21);
        refusal[12] = 14;
        twins.Twin.Send(refusal);
        Assert.Equal((100, 10), Names(twins.Main.Receive()));
        Assert.Equal(14u, BitConverter.ToUInt32(twins.Main.Ask(9, [FakeDevice.DmaError, 0, 4]).Success, 16));
    }

    [Fact]
    public void An_answer_too_late_fails_its_access_and_no_other()
    {
        using TestServer server = new(options: new VfioUserServerOptions { DmaTimeout = TimeSpan.FromMilliseconds(50) });
        using Twins twins = new(server);
        twins.StartRead(count: 4);
        RawPeer.Reply late = twins.Twin.Receive();
        Assert.Equal((100, 10), Names(twins.Main.Receive()));
        Assert.Equal(110u, BitConverter.ToUInt32(twins.Main.Ask(9, [FakeDevice.DmaError, 0, 4]).Success, 16));
        twins.Twin.Send(RawPeer.Message(late.Id, 11, 1, Address, 4ul, 1));
        uint error = 110;
        for (int i = 0; i < 100 && error == 110; i++)
        {
            // 50 ms may pass on a busy machine before this thread answers.
            twins.StartRead(count: 4);
            RawPeer.Reply asked = twins.Twin.Receive();
            twins.Twin.Send(RawPeer.Message(asked.Id, 11, 1, Address, 4ul, 2));
            Assert.Equal((100, 10), Names(twins.Main.Receive()));
            error = BitConverter.ToUInt32(twins.Main.Ask(9, [FakeDevice.DmaError, 0, 4]).Success, 16);
        }

        Assert.Equal(0u, error);
        Assert.Equal(2u, BitConverter.ToUInt32(server.Device.DmaBuffer));
    }

    public static TheoryData<string, Func<ushort, byte[]>> Breaches => new()
    {
        { "a command", id => RawPeer.Message(id, 9, 0, 0ul, 0, 4) },
        { "another id", id => RawPeer.Message((ushort)(id + 1), 11, 1, Address, 4ul, 1) },
        { "another command", id => RawPeer.Message(id, 12, 1, Address, 4ul) },
        { "another address", id => RawPeer.Message(id, 11, 1, Address + 4, 4ul, 1) },
        { "less data", id => RawPeer.Message(id, 11, 1, Address, 4ul) },
        { "a size of 3", id => RawPeer.Bytes(id, (ushort)11, 3, 1, 0) },
    };

    [Theory]
    [MemberData(nameof(Breaches), DisableDiscoveryEnumeration = true)]
    public void A_breach_there_ends_the_session(string what, Func<ushort, byte[]> answer)
    {
        using TestServer server = new();
        using Twins twins = new(server);
        twins.StartRead(count: 4);
        twins.Twin.Send(answer(twins.Twin.Receive().Id));
        Assert.True(twins.Main.IsClosed(), what);
        server.WaitForSessions();
    }

    [Fact]
    public void A_client_that_leaves_fails_the_access_at_once()
    {
        using TestServer server = new();
        using (Twins twins = new(server))
        {
            twins.StartRead(count: 4);
            Assert.Equal(11, twins.Twin.Receive().Command);
        }

        server.WaitForSessions();
    }

    [Fact]
    public void A_client_answers_there_while_it_waits_for_a_reply()
    {
        List<string> answers = [];
        using TwinServer server = new(peers =>
        {
            peers.Main.Send(RawPeer.Message(peers.Main.Receive().Id, 2, 1));
            ushort id = peers.Main.Receive().Id;
            answers.Add(Ask(peers.Twin, 12, Address, 4ul, 7));
            answers.Add(Ask(peers.Twin, 11, Address, 4ul));
            answers.Add(Ask(peers.Twin, 11, Address + 0x1000, 4ul));
            answers.Add(Ask(peers.Twin, 9, 0ul, 0, 4));
            peers.Main.Send(RawPeer.Message(id, 13, 1));
        });
        SharedDmaMemory memory = new(SharedMemory.Create("guest", 0x1000));
        server.Client.MapDma(new DmaMapping(new Iova(Address), 0x1000, DmaAccess.ReadWrite, memory, 0));
        server.Client.Reset();
        Assert.Equal(["00001000000000000400000000000000", "0000100000000000040000000000000007000000", "14", "22"], answers);
        Assert.Equal(7u, memory.Shared.Read32(0));
        memory.Release();
    }

    [Theory]
    [InlineData("{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}\0")]
    [InlineData("{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}\0")]
    [InlineData("{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":4294967295}}}\0")]
    public void A_server_that_promises_a_socket_and_sends_none_is_EPROTO(string offered)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() => server.Send(RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, offered)));
        thread.Start();
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => new VfioUserClient(ours, "unix:test")).Errno);
        Assert.True(thread.Join(TestTimeout));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Both_ends_meet_with_it_and_without(bool twin)
    {
        using TestServer server = new(() => new FakeDevice { UsesThread = true });
        using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { TwinSocket = twin });
        PrivateMemory memory = new(1 << 20);
        client.MapDma(new DmaMapping(new Iova(Address), 1 << 20, DmaAccess.ReadWrite, memory, 0));
        Parallel.For(0, 4, _ =>
        {
            byte[] four = new byte[4];
            for (int i = 0; i < 100; i++)
            {
                Assert.Equal(Errno.None, server.Device.Transfer(Address, 20_000, write: i % 2 == 0));
                client.ReadRegion(RegionIndex.Bar0, 0, four);
            }
        });
        client.UnmapDma(new Iova(Address), 1 << 20);
        memory.Release();
        Assert.True(memory.IsFreed);
    }

    private static (int Id, int Command) Names(RawPeer.Reply reply) => (reply.Id, reply.Command);

    private static string Ask(RawPeer server, ushort command, params object[] fields)
    {
        server.Send(RawPeer.Message(77, command, 0, fields));
        RawPeer.Reply reply = server.Receive();
        Assert.Equal((77, command), (reply.Id, reply.Command));
        return reply.Flags == 0x21 ? $"{reply.Refusal}" : Convert.ToHexString(reply.Success);
    }

    /// <summary>Both sockets of a client by hand, with a mapping that only it can reach.</summary>
    private sealed class Twins : IDisposable
    {
        internal Twins(TestServer server)
        {
            Main = server.ConnectRaw(negotiate: false);
            _ = Main.Ask(1, [(ushort)0, (ushort)1, Offer]).Success;
            Twin = new RawPeer(new UnixSocket(Main.Descriptors.Take()!));
            Assert.Empty(Main.Ask(2, [32, 3, 0ul, Address, 0x100000ul]).Success);
            _ = Main.Ask(10, [FakeDevice.DmaAddress, 0, 8, Address]).Success;
        }

        internal RawPeer Main { get; }

        internal RawPeer Twin { get; }

        /// <summary>Lets the device read in the middle of a write with id 100.</summary>
        internal void StartRead(ulong count)
        {
            _ = Main.Ask(10, [FakeDevice.DmaLength, 0, 8, count]).Success;
            Main.Send(RawPeer.Message(100, 10, 0, FakeDevice.DmaGo, 0, 4, 1));
        }

        public void Dispose()
        {
            Main.Dispose();
            Twin.Dispose();
        }
    }
}
