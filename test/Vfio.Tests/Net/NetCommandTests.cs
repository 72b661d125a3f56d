using System.Text.Json;
using Vfio.Cli.Net;
using Vfio.Drivers.Ethernet;
using Vfio.Net;

namespace Vfio.Tests.Net;

/// <summary>The words of <c>vfio net</c> on two ends of a wire in this process.</summary>
public sealed class NetCommandTests : IDisposable
{
    private readonly WirePort _own;
    private readonly WirePort _peer;
    private readonly StringWriter _output = new();
    private readonly CancellationTokenSource _stop = new();

    public NetCommandTests() => (_own, _peer) = WirePort.CreatePair();

    [Fact]
    public async Task Ping_and_echo_meet()
    {
        Task<string> echo = Echo();
        string ping = Ping(count: 5);
        await _stop.CancelAsync();
        string answered = await echo;

        Assert.Contains("PING 192.0.2.7 on peer: 192.0.2.7 is at 02:00:00:00:00:07", ping);
        Assert.Contains("20 bytes from 192.0.2.7: icmp_seq=5 ttl=64 time=", ping);
        Assert.Contains("5 packets transmitted, 5 received, 0% packet loss", ping);
        Assert.Matches(@"rtt min/avg/max = [\d.]+/[\d.]+/[\d.]+ ms\np50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms", ping);
        Assert.Contains("192.0.2.7/24 at 02:00:00:00:00:07 on own answers", answered);
        Assert.Contains("6 frames received, 6 answered", answered);
        Assert.Matches(@"answered, ICMP echo +5\b", answered);
    }

    [Fact]
    public async Task Json_has_the_same_numbers()
    {
        Task<string> echo = Echo(json: true);
        using JsonDocument ping = JsonDocument.Parse(Ping(count: 3, json: true));
        await _stop.CancelAsync();
        using JsonDocument answered = JsonDocument.Parse(await echo);

        Assert.Equal(3, ping.RootElement.GetProperty("received").GetInt32());
        JsonElement times = ping.RootElement.GetProperty("roundTripNanoseconds");
        Assert.True(times.GetProperty("min").GetInt64() > 0);
        Assert.True(times.GetProperty("min").GetInt64() <= times.GetProperty("max").GetInt64());
        Assert.Equal(3, answered.RootElement.GetProperty("frames").GetProperty("answeredIcmp").GetInt32());
        Assert.Equal(1, answered.RootElement.GetProperty("frames").GetProperty("answeredArp").GetInt32());
    }

    [Fact]
    public async Task What_the_wire_loses_is_loss()
    {
        // The first frame of the peer is ARP's; the second question of the echo is the third frame.
        _peer.Loses = number => number == 2;
        Task<string> echo = Echo();
        string ping = Ping(count: 4, timeout: TimeSpan.FromSeconds(5));
        await _stop.CancelAsync();
        await echo;
        Assert.Contains("4 packets transmitted, 3 received, 25% packet loss", ping);
        Assert.DoesNotContain("icmp_seq=2 ", ping);
    }

    [Fact]
    public void A_host_that_does_not_answer_is_reported()
    {
        VfioException refusal = Assert.Throws<VfioException>(() => Ping(count: 1, timeout: TimeSpan.FromMilliseconds(5)));
        Assert.Equal(Errno.HostUnreachable, refusal.Errno);
        Assert.Contains("ARP for 192.0.2.7 on peer", refusal.Message);
        _peer.IsLinkUp = false;
        Assert.Contains("no link", Assert.Throws<VfioException>(() => Ping(count: 1, timeout: TimeSpan.FromMilliseconds(5))).Message);
    }

    [Fact]
    public void A_host_that_stops_answering_is_exit_code_1()
    {
        Pinger pinger = NewPinger();
        PingRun run = new(_peer, pinger, Frames.PeerAddress) { Interval = TimeSpan.Zero, ReplyTimeout = TimeSpan.FromMilliseconds(20) };
        pinger.TryAccept(Frames.ArpReply, 1, out _);
        Assert.Equal(1, PingCommand.Run(_peer, pinger, run, new RunLimits(2, default, default), _output, json: false));
        Assert.Contains("2 packets transmitted, 0 received, 100% packet loss", _output.ToString());
    }

    [Fact]
    public void Echo_ends_after_so_many_answers_or_so_long()
    {
        for (int i = 0; i < 3; i++)
            _peer.TrySend(Frames.EchoRequest);
        EchoCommand.Run(_own, new Responder(Frames.OwnMac, Frames.OwnAddress), new RunLimits(3, default, default), _output, json: false);
        Assert.Contains("3 frames received, 3 answered", _output.ToString());
        EchoCommand.Run(
            _own, new Responder(Frames.OwnMac, Frames.OwnAddress), new RunLimits(0, TimeSpan.FromMilliseconds(1), default), _output, json: false);
        Assert.Contains("0 frames received, 0 answered", _output.ToString());
    }

    [Fact]
    public void Echo_prints_a_line_each_second()
    {
        using StoppingWriter output = new(_stop, " s  ARP");
        EchoCommand.Run(_own, new Responder(Frames.OwnMac, Frames.OwnAddress), new RunLimits(0, default, _stop.Token), output, json: false);
        Assert.Matches(@" +\d+ s  ARP 0  ICMP 0  UDP 0  others 0  wrong 0", output.ToString());
    }

    [Fact]
    public void Capture_ends_after_so_many_frames_with_statistics()
    {
        for (int i = 0; i < 100; i++)
            _peer.TrySend(Frames.EchoRequest);
        using MemoryStream file = new();
        CaptureCommand.Run(_own, Source, file, new RunLimits(70, default, default), _output, json: false);

        List<PcapngReader.Block> blocks = PcapngReader.Read(file.ToArray());
        Assert.Equal(70, blocks.Count(block => block.Type == 6));
        Assert.Equal(5u, blocks[^1].Type);
        Assert.Matches("^vfio [0-9]+\\.[0-9]+\\.[0-9]+$", blocks[0].Text(4));
        Assert.Contains($"70 frames of 4200 bytes captured", _output.ToString());
        Assert.Contains($"{file.Length} bytes written", _output.ToString());
    }

    [Fact]
    public void Capture_ends_when_its_reader_is_gone()
    {
        _peer.TrySend(Frames.EchoRequest);
        CaptureCommand.Run(_own, Source, new GonePipe(), default, _output, json: true);
        using JsonDocument sums = JsonDocument.Parse(_output.ToString());
        Assert.True(sums.RootElement.GetProperty("readerGone").GetBoolean());
    }

    [Theory]
    [InlineData("192.0.2.7 is no host")]
    [InlineData("echo", "--address", "192.0.2.300")]
    [InlineData("echo")]
    [InlineData("echo", "--address", "192.0.2.7", "--port", "65536")]
    [InlineData("echo", "--address", "192.0.2.7", "--mac", "ff:ff:ff:ff:ff:ff")]
    [InlineData("ping", "198.51.100.1", "--address", "192.0.2.7/24")]
    [InlineData("ping", "192.0.2.7", "--address", "192.0.2.7/24")]
    [InlineData("ping", "192.0.2.1", "--address", "192.0.2.7/24", "--timeout", "0")]
    [InlineData("ping", "192.0.2.1", "--address", "192.0.2.7/24", "--interval", "-1")]
    [InlineData("ping", "192.0.2.1", "--address", "192.0.2.7/24", "--size", "1473")]
    [InlineData("capture", "x.pcapng", "--snaplen", "0")]
    [InlineData("capture", "x.pcapng", "--count", "-1")]
    public void Wrong_words_are_refused_before_anything_is_opened(params string[] words)
    {
        VfioCommand.Result result = VfioCommand.Run(["net", "model:edu", .. words]);
        Assert.Equal(2, result.ExitCode);
        Assert.Single(result.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [InlineData("echo", "--address", "192.0.2.7/24")]
    [InlineData("ping", "192.0.2.1", "--address", "192.0.2.7/24")]
    [InlineData("ping", "198.51.100.1", "--address", "192.0.2.7/24", "--gateway", "192.0.2.1")]
    [InlineData("capture", "-")]
    public void A_device_that_is_no_ethernet_controller_is_refused_in_a_line(params string[] words)
    {
        VfioCommand.Result result = VfioCommand.Run(["net", "model:edu", .. words]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("1234:11e8, not 8086:10c9", result.Errors);
    }

    [Fact]
    public void Help_has_examples() =>
        Assert.Contains("vfio net 0000:01:00.0 capture", VfioCommand.Run("net", "model:edu", "echo", "--help").Output);

    public void Dispose()
    {
        _own.Dispose();
        _peer.Dispose();
        _stop.Dispose();
        _output.Dispose();
    }

    private static PcapngInterface Source => new("own", Frames.OwnMac);

    private static Pinger NewPinger() =>
        new(Frames.PeerMac, Frames.PeerAddress, Frames.OwnAddress.Address, Frames.OwnAddress.Address, dataBytes: 12);

    private Task<string> Echo(bool json = false) => Task.Run(() =>
    {
        StringWriter output = new();
        EchoCommand.Run(_own, new Responder(Frames.OwnMac, Frames.OwnAddress), new RunLimits(0, default, _stop.Token), output, json);
        return output.ToString();
    });

    private string Ping(int count, bool json = false, TimeSpan? timeout = null)
    {
        StringWriter output = new();
        Pinger pinger = NewPinger();
        PingRun run = new(_peer, pinger, Frames.PeerAddress)
        {
            Interval = TimeSpan.FromMilliseconds(1),
            ReplyTimeout = timeout ?? HangGuard.Timeout,
            Replied = json ? null : reply => PingCommand.Print(output, pinger, reply),
        };
        PingCommand.Run(_peer, pinger, run, new RunLimits(count, default, default), output, json);
        return output.ToString();
    }

    /// <summary>Stops what writes to it once it has written a line with some words in it.</summary>
    private sealed class StoppingWriter(CancellationTokenSource stop, string words) : StringWriter
    {
        public override void WriteLine()
        {
            base.WriteLine();
            if (ToString().Contains(words, StringComparison.Ordinal))
                stop.Cancel();
        }
    }

    private sealed class GonePipe : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => throw new IOException("Broken pipe", 32);
    }
}
