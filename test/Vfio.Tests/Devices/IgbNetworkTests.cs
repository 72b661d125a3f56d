using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Vfio.Devices;
using Vfio.Devices.Igb;

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
    public void A_peer_that_floods_waits_and_nothing_is_lost()
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

            Assert.True(flood.Wait(HangGuard.Timeout));
            Assert.Equal(0u, igb[0x4010]);
        }
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
}
