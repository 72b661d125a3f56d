using System.Diagnostics;
using Vfio.Drivers.Ethernet;
using Vfio.Net;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Net;

/// <summary>The asking side: it finds a station, asks it, and knows its answers again.</summary>
public sealed class PingerTests
{
    private readonly Pinger _pinger = new(Frames.PeerMac, Frames.PeerAddress, Frames.OwnAddress.Address, Frames.OwnAddress.Address, 12, 0x4242);
    private readonly Responder _responder = new(Frames.OwnMac, Frames.OwnAddress);
    private readonly byte[] _frame = new byte[2000];
    private readonly byte[] _answer = new byte[2000];

    [Fact]
    public void Asks_for_the_station_as_RFC_826_has_it()
    {
        int length = _pinger.WriteArpRequest(_frame);
        Assert.Equal(Frames.ArpRequest, _frame[..length]);
        Assert.Null(_pinger.Station);
        Assert.False(_pinger.TryAccept(Frames.ArpReply, 1, out _));
        Assert.Equal(Frames.OwnMac, _pinger.Station);
    }

    [Theory]
    [InlineData(20, "0001")]
    [InlineData(22, "ffffffffffff")]
    [InlineData(22, "000000000000")]
    [InlineData(22, "525400123456")]
    [InlineData(28, "c0000208")]
    [InlineData(0, "020000000009")]
    public void Believes_no_wrong_answer_of_ARP(int at, string bytes)
    {
        _pinger.TryAccept(Frames.ArpReply.With(at, bytes), 1, out _);
        Assert.Null(_pinger.Station);
        Assert.Throws<InvalidOperationException>(() => _pinger.WriteEchoRequest(_frame, 1));
    }

    [Fact]
    public void Times_the_answer_and_counts_it_once()
    {
        byte[] reply = Ask(now: 1000);
        long later = 1000 + (Stopwatch.Frequency / 4);
        Assert.True(_pinger.TryAccept(reply, later, out PingReply good));
        Assert.Equal(new PingReply(1, 20, 64, TimeSpan.FromMilliseconds(250), PingReplyKind.Good), good);
        Assert.True(_pinger.TryAccept(reply, later, out PingReply again));
        Assert.Equal(PingReplyKind.Duplicate, again.Kind);
        Assert.Equal((1, 1, 1, 0), (_pinger.Sent, _pinger.Received, _pinger.Duplicates, _pinger.Corrupt));
        Assert.Equal(0, _pinger.Loss);
    }

    [Fact]
    public void Notices_other_data_than_it_sent()
    {
        byte[] reply = Ask();
        reply[50] ^= 1;
        Assert.True(_pinger.TryAccept(reply.Summed(), 2, out PingReply bad));
        Assert.Equal(PingReplyKind.Corrupt, bad.Kind);
        Assert.Equal((0, 1, 1.0), (_pinger.Received, _pinger.Corrupt, _pinger.Loss));
        reply[50] ^= 1;
        Assert.True(_pinger.TryAccept(reply.Summed(), 2, out PingReply good));
        Assert.Equal(PingReplyKind.Good, good.Kind);
    }

    [Theory]
    [InlineData(Frames.Message + 4, "4243")]
    [InlineData(Frames.Message + 6, "0002")]
    [InlineData(Frames.Message, "08")]
    [InlineData(Frames.Message + 1, "01")]
    [InlineData(Frames.IpSource, "c0000208")]
    [InlineData(Frames.IpFlags, "2000")]
    [InlineData(0, "020000000009")]
    public void Takes_no_other_frame_for_an_answer(int at, string bytes)
    {
        byte[] reply = Ask();
        Assert.False(_pinger.TryAccept(reply.With(at, bytes).Summed(), 2, out _));
        Assert.Equal(1, _pinger.Loss);
    }

    [Fact]
    public void Questions_are_answered_past_the_end_of_their_numbers()
    {
        for (int i = 0; i < 70_000; i++)
            Assert.True(_pinger.TryAccept(Ask(), 2, out PingReply reply) && reply.Sequence == (ushort)(i + 1));
        Assert.Equal((70_000, 70_000, 0), (_pinger.Sent, _pinger.Received, _pinger.Duplicates));
    }

    [Fact]
    public void An_answer_that_comes_after_the_window_is_none()
    {
        byte[] first = Ask();
        for (int i = 0; i < Pinger.Window; i++)
            Ask();
        Assert.False(_pinger.TryAccept(first, 2, out _));
    }

    [Fact]
    public void Goes_through_a_gateway_where_there_is_one()
    {
        Ipv4Address far = new(0xc6336401);
        Pinger pinger = new(Frames.PeerMac, Frames.PeerAddress, far, nextHop: Frames.OwnAddress.Address, 12, 0x4242);
        int arp = pinger.WriteArpRequest(_frame);
        Assert.Equal(Frames.ArpRequest, _frame[..arp]);
        pinger.TryAccept(Frames.ArpReply, 1, out _);
        pinger.WriteEchoRequest(_frame, 1);
        Assert.Equal(Frames.OwnMac, MacAddress.Read(_frame));
        Assert.Equal(Frames.Bytes("c6336401"), _frame[30..34]);
    }

    [Fact]
    public void Nothing_that_comes_in_makes_it_throw()
    {
        Random random = new(3);
        byte[] reply = Ask();
        for (int i = 0; i < 50_000; i++)
        {
            byte[] frame = [.. reply];
            for (int changes = random.Next(4); changes > 0; changes--)
                frame[random.Next(frame.Length)] = (byte)random.Next(256);
            _pinger.TryAccept((random.Next(2) == 0 ? frame : frame.Summed()).AsSpan(0, random.Next(frame.Length + 1)), 2, out _);
        }
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        Ask();
        Assert.Equal(0, Measure.Allocations(() =>
        {
            int length = _pinger.WriteEchoRequest(_frame, 1);
            int count = _responder.Answer(_frame.AsSpan(0, length), _answer, out _);
            _pinger.TryAccept(_answer.AsSpan(0, count), 2, out _);
        }));
    }

    private byte[] Ask(long now = 1)
    {
        if (_pinger.Station is null)
            _pinger.TryAccept(Frames.ArpReply, 1, out _);
        int length = _pinger.WriteEchoRequest(_frame, now);
        Assert.Equal(_pinger.FrameBytes, length);
        int count = _responder.Answer(_frame.AsSpan(0, length), _answer, out PacketVerdict verdict);
        Assert.Equal(PacketVerdict.AnsweredIcmp, verdict);
        return _answer[..count];
    }
}
