using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Vfio.Devices;
using Vfio.Devices.Igb;
using Vfio.Devices.Network;

namespace Vfio.Tests.Devices;

/// <summary>The other end of the model's cable: sockets as QEMU's <c>-netdev stream</c> and <c>dgram</c> have them, and files.</summary>
public sealed class IgbNetworkTests : IDisposable
{
    private const string Own = "02:82:57:60:00:01";
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-igb-").FullName;

    private string Place => Path.Combine(_folder, "cable");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_frame_follows_its_length_both_ways(bool modelListens)
    {
        using Socket? listener = modelListens ? null : Listen();
        using IgbRig igb = new(IgbFunction.Create($"{(modelListens ? "listen" : "stream")}:{Place}", Own));
        using Socket peer = modelListens ? Connect() : listener!.Accept();
        StartWithLink(igb);
        byte[] frame = IgbRig.Frame(300);
        igb.Send(frame);
        Assert.Equal([0, 0, 0x01, 0x2c, .. frame], Read(peer, 304));

        // Two frames in one write, and one in three.
        byte[] small = IgbRig.Frame(64), large = IgbRig.Frame(1514);
        peer.Send([0, 0, 0, 64, .. small, 0, 0, 0x05, 0xea, .. large]);
        Assert.Equal(small, igb.TakeFrame());
        Assert.Equal(large, igb.TakeFrame());
        peer.Send([0, 0]);
        peer.Send([0, 64, .. small[..10]]);
        peer.Send(small[10..]);
        Assert.Equal(small, igb.TakeFrame());
    }

    [Fact]
    public void The_link_is_down_while_no_peer_is_there_and_up_again_with_the_next()
    {
        using IgbRig igb = new(IgbFunction.Create($"listen:{Place}", Own));
        igb.Start();
        Assert.Equal(0u, igb[0x0008] & 2);
        for (int i = 0; i < 3; i++)
        {
            using (Socket peer = Connect())
            {
                AwaitLink(igb, isUp: true);
                byte[] frame = IgbRig.Frame(64 + i);
                peer.Send([0, 0, 0, (byte)(64 + i), .. frame]);
                Assert.Equal(frame, igb.TakeFrame());
            }

            AwaitLink(igb, isUp: false);
        }
    }

    [Fact]
    public void A_peer_that_announces_too_much_is_disconnected()
    {
        using IgbRig igb = new(IgbFunction.Create($"listen:{Place}", Own));
        StartWithLink(igb, Connect, out Socket peer);
        using (peer)
        {
            peer.Send([0x7f, 0xff, 0xff, 0xff]);
            Assert.Equal(0, peer.Receive(new byte[1]));
        }

        using Socket next = Connect();
        AwaitLink(igb, isUp: true);
    }

    [Fact]
    public void A_peer_that_does_not_read_blocks_neither_the_driver_nor_a_reset()
    {
        using IgbRig igb = new(IgbFunction.Create($"listen:{Place}", Own));
        StartWithLink(igb, Connect, out Socket peer);
        using (peer)
        {
            byte[] frame = IgbRig.Frame(1514);
            for (int i = 0; i < 2000; i++)
                igb.Send(frame);
            long start = Stopwatch.GetTimestamp();
            Assert.Equal(Errno.None, igb.Function.Reset(ResetMethod.Flr));
            Assert.True(Stopwatch.GetElapsedTime(start) < HangGuard.Timeout);

            // What it reads late are whole frames.
            byte[] read = Read(peer, 10 * 1518);
            Assert.All(Enumerable.Range(0, 10), i => Assert.Equal(1514u, BinaryPrimitives.ReadUInt32BigEndian(read.AsSpan(i * 1518))));
        }
    }

    [Fact]
    public async Task A_peer_that_floods_waits_and_nothing_is_lost()
    {
        using IgbRig igb = new(IgbFunction.Create($"listen:{Place}", Own));
        StartWithLink(igb, Connect, out Socket peer);
        using (peer)
        {
            const int Count = 2000;
            Task flood = Task.Run(() =>
            {
                byte[] frame = [0, 0, 0x05, 0xea, .. IgbRig.Frame(1514)];
                for (int i = 0; i < Count; i++)
                {
                    BitConverter.TryWriteBytes(frame.AsSpan(24), i);
                    peer.Send(frame);
                }
            });
            int at = 0;
            for (int i = 0; i < Count; i++)
            {
                Assert.Equal(i, BitConverter.ToInt32(igb.TakeFrame().AsSpan(20)));
                igb.GiveBack(at);
                at = (at + 1) % IgbRig.Entries;
            }

            await flood.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
            Assert.Equal(0u, igb[0x4010]);
        }
    }

    [Fact]
    public void A_peer_that_leaves_is_seen_while_the_driver_takes_nothing()
    {
        using IgbRig igb = new(IgbFunction.Create($"listen:{Place}", Own));
        StartWithLink(igb, Connect, out Socket peer);
        igb[0xc018] = 0;
        igb[0xc010] = 0;
        using (peer)
        {
            // The port's 256 KiB and the socket's buffer are full when no more can be sent for a while.
            peer.SendTimeout = 200;
            byte[] frame = [0, 0, 0x05, 0xea, .. IgbRig.Frame(1514)];
            Assert.Throws<SocketException>(() =>
            {
                for (int i = 0; i < 100_000; i++)
                    peer.Send(frame);
            });
        }

        AwaitLink(igb, isUp: false);
        using Socket next = Connect();
        AwaitLink(igb, isUp: true);
    }

    [Fact]
    public void A_datagram_socket_that_a_process_left_behind_is_replaced_and_a_living_one_is_not()
    {
        string own = Path.Combine(_folder, "own"), network = $"dgram:{own},{Path.Combine(_folder, "other")}";
        using (Socket stale = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified))
        {
            // .NET removes the file of the name that it bound.
            stale.Bind(new UnixDomainSocketEndPoint(own + ".new"));
            File.Move(own + ".new", own);
        }

        Assert.True(File.Exists(own));
        using (IgbFunction first = IgbFunction.Create(network, Own))
        {
            Assert.Equal((UnixFileMode)0x1b0, File.GetUnixFileMode(own));
            Assert.Equal(Errno.AddressInUse, Assert.Throws<VfioException>(() => IgbFunction.Create(network, Own)).Errno);
        }

        Assert.False(File.Exists(own));
        File.WriteAllText(own, "data");
        Assert.Equal(Errno.AddressInUse, Assert.Throws<VfioException>(() => IgbFunction.Create(network, Own)).Errno);
        File.Delete(own);

        // What lies there at the end is another's by now.
        using (IgbFunction second = IgbFunction.Create(network, Own))
        {
            File.Delete(own);
            File.WriteAllText(own, "data");
        }

        Assert.Equal("data", File.ReadAllText(own));
    }

    [Fact]
    public void A_datagram_is_a_frame_both_ways()
    {
        string own = Path.Combine(_folder, "own"), other = Path.Combine(_folder, "other");
        using IgbRig igb = new(IgbFunction.Create($"dgram:{own},{other}", Own));
        igb.Start();
        Assert.Equal(0u, igb[0x0008] & 2);
        using Socket peer = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        peer.Bind(new UnixDomainSocketEndPoint(other));
        AwaitLink(igb, isUp: true);
        byte[] frame = IgbRig.Frame(300);
        igb.Send(frame);
        byte[] received = new byte[2048];
        Assert.Equal(300, peer.Receive(received));
        Assert.Equal(frame, received[..300]);
        peer.SendTo(frame, new UnixDomainSocketEndPoint(own));
        Assert.Equal(frame, igb.TakeFrame());
    }

    [Fact]
    public void What_is_recorded_can_be_replayed_and_tcpdump_reads_it()
    {
        string file = Path.Combine(_folder, "capture.pcapng");
        byte[][] frames = [IgbRig.Frame(60), IgbRig.Frame(333), IgbRig.Frame(1514)];
        Dictionary<string, string> options = new() { ["net"] = "loop", ["record"] = file, ["mac"] = Own };
        using (IgbRig igb = new((IgbFunction)ModelCatalog.Create("igb", options)))
        {
            igb.Start();
            foreach (byte[] frame in frames)
            {
                igb.Send(frame);
                Assert.Equal(frame, igb.TakeFrame());
            }
        }

        // Each was sent and received.
        using IgbRig again = new(IgbFunction.Create($"replay:{file}", Own));
        again.Start();
        foreach (byte[] frame in frames)
        {
            Assert.Equal(frame, again.TakeFrame());
            Assert.Equal(frame, again.TakeFrame());
        }

        Assert.SkipUnless(File.Exists("/usr/bin/tcpdump"), "tcpdump is not here");
        ProcessStartInfo start = new("tcpdump", ["-e", "-n", "-r", file]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process tcpdump = Process.Start(start)!;
        string[] lines = [.. tcpdump.StandardOutput.ReadToEnd().TrimEnd().Split('\n').Where(line => line[0] != '\t')];
        tcpdump.WaitForExit();
        Assert.Equal(6, lines.Length);
        Assert.Contains("02:00:00:00:00:aa > 02:82:57:60:00:01", lines[0]);
        Assert.Contains("length 1514", lines[5]);
    }

    [Fact]
    public async Task A_capture_that_cannot_be_written_now_holds_up_neither_a_reset_nor_the_end()
    {
        using StalledStream file = new();
        using IgbRig igb = new(new RecordingBackend(new LoopBackend(), new PcapngRecorder(file)));
        igb.Start();
        byte[] frame = IgbRig.Frame(64);
        igb.Send(frame);
        Assert.Equal(frame, igb.TakeFrame());
        Task<Errno> reset = Task.Run(() => igb.Function.Reset(ResetMethod.Flr), TestContext.Current.CancellationToken);
        await reset.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
        Task end = Task.Run(igb.Dispose, TestContext.Current.CancellationToken);
        await end.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
        file.GoOn();
    }

    [Fact]
    public void What_a_capture_has_no_room_for_is_counted_in_it()
    {
        const int Frames = 1000;
        using StalledStream file = new();
        PcapngRecorder recorder = new(file);
        for (int i = 0; i < Frames; i++)
            recorder.Record(IgbRig.Frame(9000), isInbound: false);
        file.GoOn();
        Assert.True(SpinWait.SpinUntil(() => file.Length > 2_000_000, HangGuard.Timeout));
        recorder.Record(IgbRig.Frame(60), isInbound: true);
        recorder.Dispose();
        (int blocks, ulong dropped) = Count(file.ToArray());
        Assert.InRange(blocks, 1, Frames);
        Assert.Equal(Frames + 1ul, (ulong)blocks + dropped);
    }

    [Theory]
    [InlineData("record")]
    [InlineData("net")]
    public void A_capture_is_a_regular_file_and_no_link(string option)
    {
        string target = Path.Combine(_folder, "target"), link = Path.Combine(_folder, "link"), fifo = Path.Combine(_folder, "fifo");
        File.WriteAllText(target, "kept");
        File.CreateSymbolicLink(link, target);
        using (Process mkfifo = Process.Start("mkfifo", [fifo]))
            mkfifo.WaitForExit();
        foreach (string path in new[] { link, fifo, "/dev/null", "" })
        {
            Dictionary<string, string> options = new() { [option] = option == "net" ? $"replay:{path}" : path };
            VfioException refusal = Assert.Throws<VfioException>(() => ModelCatalog.Create("igb", options));
            Assert.DoesNotContain('\n', refusal.Message);
        }

        Assert.Equal("kept", File.ReadAllText(target));
    }

    [Fact]
    public void A_capture_is_not_emptied_when_the_network_cannot_be_had()
    {
        string file = Path.Combine(_folder, "capture.pcapng");
        File.WriteAllText(file, "kept");
        Dictionary<string, string> options = new() { ["net"] = "nowhere", ["record"] = file };
        Assert.Throws<VfioException>(() => ModelCatalog.Create("igb", options));
        Assert.Equal("kept", File.ReadAllText(file));
    }

    [Theory]
    [InlineData("")]
    [InlineData("0a0d0d0a")]
    [InlineData("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c00000006000000ffffffff00000000")]
    [InlineData("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000060000002000000000000000000000000000000000ffffff00ffffff20000000")]
    public void A_file_that_is_no_capture_ends_nothing(string bytes)
    {
        string file = Path.Combine(_folder, "bad");
        File.WriteAllBytes(file, Convert.FromHexString(bytes));
        using IgbRig igb = new(IgbFunction.Create($"replay:{file}", Own));
        igb.Start();
        igb.Send(IgbRig.Frame(64));
        Assert.Equal(0u, igb[0x4074]);
    }

    private static void StartWithLink(IgbRig igb)
    {
        igb.Start();
        AwaitLink(igb, isUp: true);
    }

    private static void StartWithLink(IgbRig igb, Func<Socket> connect, out Socket peer)
    {
        peer = connect();
        StartWithLink(igb);
    }

    private static void AwaitLink(IgbRig igb, bool isUp) => igb.Slot.WaitUntil(() => (igb[0x0008] & 2) != 0 == isUp);

    private static byte[] Read(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int at = 0; at < count;)
        {
            int read = socket.Receive(bytes.AsSpan(at));
            Assert.True(read > 0, "the model hung up");
            at += read;
        }

        return bytes;
    }

    private Socket Listen()
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Place));
        socket.Listen();
        return socket;
    }

    private Socket Connect()
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(Place));
        return socket;
    }

    // Packets in a capture, and those that it says are missing: option 4 (epb_dropcount) behind option 2 (epb_flags).
    private static (int Packets, ulong Dropped) Count(ReadOnlySpan<byte> capture)
    {
        int packets = 0;
        ulong dropped = 0;
        while (!capture.IsEmpty)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(capture[4..]);
            Assert.Equal(length, BinaryPrimitives.ReadInt32LittleEndian(capture[(length - 4)..]));
            if (BinaryPrimitives.ReadUInt32LittleEndian(capture) == 6)
            {
                packets++;
                int options = 28 + ((BinaryPrimitives.ReadInt32LittleEndian(capture[20..]) + 3) & ~3);
                if (BinaryPrimitives.ReadUInt16LittleEndian(capture[(options + 8)..]) == 4)
                    dropped += BinaryPrimitives.ReadUInt64LittleEndian(capture[(options + 12)..]);
            }

            capture = capture[length..];
        }

        return (packets, dropped);
    }

    // A disk that does not answer until it is told to.
    private sealed class StalledStream : MemoryStream
    {
        private readonly ManualResetEventSlim _mayGoOn = new();

        internal void GoOn() => _mayGoOn.Set();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _mayGoOn.Wait(HangGuard.Timeout);
            base.Write(buffer);
        }
    }
}
