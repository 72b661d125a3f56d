using System.Diagnostics;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Servers that answer anything but what was asked: the client fails with a reason, closes what it got, and stays failed.</summary>
public sealed class HostileServerTests
{
    private static readonly byte[] Good = RawPeer.Bytes((ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096}}\0");

    public static TheoryData<string, Func<ushort, byte[]>> BadVersions => new()
    {
        { "another major version", id => RawPeer.Message(id, 1, 1, (ushort)1, (ushort)0) },
        { "a higher minor version", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)2) },
        { "no version", id => RawPeer.Message(id, 1, 1) },
        { "no JSON", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{]\0") },
        { "no data at all", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{\"max_data_xfer_size\":0}}\0") },
        { "another id", id => RawPeer.Message((ushort)(id + 1), 1, 1, (ushort)0, (ushort)1) },
        { "another command", id => RawPeer.Message(id, 2, 1, (ushort)0, (ushort)1) },
        { "a size of 3", id => RawPeer.Bytes(id, (ushort)1, 3, 1, 0) },
        { "a size of 4 GiB", id => RawPeer.Bytes(id, (ushort)1, uint.MaxValue, 1, 0) },
        { "an unknown type", id => RawPeer.Message(id, 1, 7, (ushort)0, (ushort)1) },
    };

    [Theory]
    [MemberData(nameof(BadVersions), DisableDiscoveryEnumeration = true)]
    public void A_VERSION_that_cannot_be_is_EPROTO(string what, Func<ushort, byte[]> answer)
    {
        VfioException refusal = Fail(server => server.Send(answer(server.Receive().Id)));
        Assert.True(refusal.Errno == Errno.Protocol, $"{what}: {refusal.Message}");
    }

    [Fact]
    public void A_refusal_of_VERSION_keeps_its_errno()
    {
        VfioException refusal = Fail(server =>
        {
            byte[] message = RawPeer.Message(server.Receive().Id, 1, 0x21);
            message[12] = 16;
            server.Send(message);
        });
        Assert.Equal(Errno.Busy, refusal.Errno);
    }

    [Fact]
    public void A_close_in_the_middle_of_a_reply_is_ECONNRESET()
    {
        VfioException refusal = Fail(server => server.Send(RawPeer.Message(server.Receive().Id, 1, 1, Good).AsSpan(0, 20)));
        Assert.Equal(Errno.ConnectionReset, refusal.Errno);
    }

    [Theory]
    [InlineData(257u, 5u)]
    [InlineData(9u, uint.MaxValue)]
    public void More_regions_or_interrupts_than_can_be_are_EPROTO(uint regions, uint interrupts)
    {
        VfioException refusal = Fail(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, Good));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, regions, interrupts));
        });
        Assert.Equal(Errno.Protocol, refusal.Errno);
    }

    [Fact]
    public void Silence_is_ETIMEDOUT_where_a_time_is_set()
    {
        Stopwatch clock = Stopwatch.StartNew();
        VfioException refusal = Fail(server => _ = server.IsClosed(), TimeSpan.FromMilliseconds(50));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
        Assert.InRange(clock.Elapsed, TimeSpan.FromMilliseconds(40), TimeSpan.FromSeconds(20));
    }

    [Fact]
    public void A_drip_of_bytes_is_no_answer_either()
    {
        VfioException refusal = Fail(
            server =>
            {
                byte[] reply = RawPeer.Message(server.Receive().Id, 1, 1, Good);
                foreach (byte one in reply)
                {
                    if (server.Socket.Send([one], default, default, wait: true, out _) < 0)
                        break;
                    Thread.Sleep(20);
                }
            },
            TimeSpan.FromMilliseconds(200));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
    }

    [Theory]
    [InlineData(3, 4u)]
    [InlineData(5, 4u)]
    [InlineData(4, 5u)]
    [InlineData(0, 0u)]
    public void A_read_with_other_data_than_asked_for_breaks_the_connection_for_good(int data, uint count)
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 9, 1, 0ul, 0, count, new byte[data])));
        byte[] four = new byte[4];
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => opened.Client.ReadRegion(RegionIndex.Bar0, 0, four)).Errno);
        VfioException later = Assert.Throws<VfioException>(opened.Client.Reset);
        Assert.Equal(Errno.Protocol, later.Errno);
        Assert.Contains("broke earlier", later.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Descriptors_that_nobody_asked_for_are_closed()
    {
        const string Name = "leak-unasked";
        using OpenedClient opened = new();
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        opened.Serve(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 13, 1), file, file, file);
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 3, 0, 0, 4096ul, 0ul), file);
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 1, 0, 4096ul, 0ul), file, file);
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 2, 0, 4096ul, 0ul));
        });
        opened.Client.Reset();
        Assert.Null(opened.Client.GetRegion(new RegionIndex(0)).File);
        Assert.True(opened.Client.GetRegion(new RegionIndex(1)).IsMappable);
        Assert.False(opened.Client.GetRegion(new RegionIndex(2)).IsMappable);
        Assert.Equal(2, OpenDescriptors.OfMemoryFile(Name));
        opened.Client.Dispose();
        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }

    public static TheoryData<string, object[]> BadRegions => new()
    {
        { "another index", [32, 3, 4, 0, 4096ul, 0ul] },
        { "too short", [32, 3, 0, 0, 4096ul] },
        { "a capability in the head", [80, 15, 0, 16, 65536ul, 0ul, new byte[48]] },
        { "a capability past the end", [80, 15, 0, 4096, 65536ul, 0ul, new byte[48]] },
        { "a capability at the very end", [80, 15, 0, 76, 65536ul, 0ul, new byte[48]] },
        { "a loop", [80, 15, 0, 32, 65536ul, 0ul, (ushort)9, (ushort)1, 32] },
        { "a backward link", [80, 15, 0, 40, 65536ul, 0ul, 0ul, (ushort)9, (ushort)1, 32] },
        { "more areas than there are", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 3, 0, 0ul, 4096ul, 8192ul, 4096ul] },
        { "4 Gi areas", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, uint.MaxValue, 0, 0ul, 4096ul] },
        { "an area past the region", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 61440ul, 8192ul] },
        { "an area that wraps", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 4096ul, 0xfffffffffffff000ul] },
        { "areas that overlap", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0ul, 8192ul, 4096ul, 4096ul] },
        { "an empty area", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 0ul, 0ul] },
        { "half a page", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 0ul, 2048ul] },
    };

    [Theory]
    [MemberData(nameof(BadRegions), DisableDiscoveryEnumeration = true)]
    public void A_region_that_contradicts_itself_is_EPROTO(string what, object[] reply)
    {
        string name = $"leak-region-{what}";
        using OpenedClient opened = new();
        using FileDescriptor file = MemoryFile.Create(name, 4096);
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, reply), file));
        VfioException refusal = Assert.Throws<VfioException>(() => opened.Client.GetRegion(new RegionIndex(0)));
        Assert.True(refusal.Errno == Errno.Protocol, $"{what}: {refusal.Message}");
        Assert.Equal(1, OpenDescriptors.OfMemoryFile(name));
    }

    [Fact]
    public void A_server_may_read_only_what_is_mapped_and_readable()
    {
        using OpenedClient opened = new();
        SharedDmaMemory memory = new(SharedMemory.Create("guest", 0x2000));
        Assert.Equal(Errno.None, memory.Write(0, [1, 2, 3, 4]));
        List<string> answers = [];
        opened.Serve(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 2, 1));
            ushort id = server.Receive().Id;
            answers.Add(AskClient(server, 11, 0x1000ul, 4ul));
            answers.Add(AskClient(server, 11, 0xffful, 4ul));
            answers.Add(AskClient(server, 11, 0x2ffdul, 4ul));
            answers.Add(AskClient(server, 11, 0x1000ul, (1ul << 20) + 1));
            answers.Add(AskClient(server, 11, 0x1000ul, ulong.MaxValue));
            answers.Add(AskClient(server, 11, 0x1000ul));
            answers.Add(AskClient(server, 12, 0x1000ul, 4ul, 7));
            answers.Add(AskClient(server, 12, 0x1000ul, 8ul, 7));
            answers.Add(AskClient(server, 9, 0x1000ul, 4ul));
            answers.Add(AskClient(server, 11, ulong.MaxValue, 4ul));
            server.Send(RawPeer.Message(id, 13, 1));
        });
        opened.Client.MapDma(new DmaMapping(new Iova(0x1000), 0x2000, DmaAccess.Read, memory, 0));
        opened.Client.Reset();
        Assert.Equal(["0010000000000000040000000000000001020304", "14", "14", "22", "22", "22", "13", "22", "22", "14"], answers);
        memory.Release();
    }

    /// <summary>Opens a client on a server that fails it.</summary>
    private static VfioException Fail(Action<RawPeer> serve, TimeSpan? timeout = null)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() =>
        {
            serve(server);
            theirs.Shutdown();
        });
        thread.Start();
        VfioUserClientOptions options = timeout is TimeSpan time ? new() { Timeout = time } : new();
        VfioException refusal = Assert.Throws<VfioException>(() => new VfioUserClient(ours, "unix:test", options));
        Assert.True(ours.Descriptor.IsClosed);
        Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
        return refusal;
    }

    private static string AskClient(RawPeer server, ushort command, params object[] fields)
    {
        server.Send(RawPeer.Message(77, command, 0, fields));
        RawPeer.Reply reply = server.Receive();
        Assert.Equal((77, command), (reply.Id, reply.Command));
        return reply.Flags == 0x21 ? $"{reply.Refusal}" : Convert.ToHexString(reply.Success);
    }

    /// <summary>A client whose server did well until it was open.</summary>
    private sealed class OpenedClient : IDisposable
    {
        private readonly RawPeer _server;
        private Thread? _thread;

        internal OpenedClient()
        {
            (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
            _server = new RawPeer(theirs);
            Serve(server =>
            {
                server.Send(RawPeer.Message(server.Receive().Id, 1, 1, Good));
                server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
            });
            Client = new VfioUserClient(ours, "unix:test", new VfioUserClientOptions { Timeout = TimeSpan.FromSeconds(30) });
        }

        internal VfioUserClient Client { get; }

        internal void Serve(Action<RawPeer> serve)
        {
            _thread?.Join();
            _thread = new Thread(() => serve(_server));
            _thread.Start();
        }

        public void Dispose()
        {
            Client.Dispose();
            Assert.True(_thread!.Join(TimeSpan.FromSeconds(30)));
            _server.Dispose();
        }
    }
}
