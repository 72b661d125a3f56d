using Vfio.Net;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Net;

/// <summary>What a quiet host answers, and what it must not.</summary>
public sealed class ResponderTests
{
    private readonly Responder _responder = new(Frames.OwnMac, Frames.OwnAddress);

    public static TheoryData<string, byte[], byte[], Enum> Answered => new()
    {
        { "ARP", Frames.ArpRequest, Frames.ArpReply, PacketVerdict.AnsweredArp },
        { "ARP to the station alone", Frames.ArpRequest.With(0, "020000000007"), Frames.ArpReply, PacketVerdict.AnsweredArp },
        { "ARP without filling", Frames.ArpRequest[..42], Frames.ArpReply, PacketVerdict.AnsweredArp },
        { "a probe before an address is used", Frames.ArpRequest.With(28, "00000000"), Frames.ArpReply.With(38, "00000000"), PacketVerdict.AnsweredArp },
        { "ICMP echo", Frames.EchoRequest, Frames.EchoReply, PacketVerdict.AnsweredIcmp },
        { "ICMP echo without filling", Frames.EchoRequest[..54], Frames.EchoReply, PacketVerdict.AnsweredIcmp },
        { "UDP echo", Frames.UdpRequest, Frames.UdpReply, PacketVerdict.AnsweredUdp },
        { "UDP echo without a checksum", Frames.UdpRequest.With(40, "0000"), Frames.UdpReply.With(40, "0000"), PacketVerdict.AnsweredUdp },
        { "tagged", Frames.EchoRequest.Tagged("8100 a064"), Frames.EchoReply.Tagged("8100 a064")[..60], PacketVerdict.AnsweredIcmp },
        { "tagged twice", Frames.ArpRequest.Tagged("8100 0064").Tagged("88a8 0007"),
          Frames.ArpReply.Tagged("8100 0064").Tagged("88a8 0007")[..60], PacketVerdict.AnsweredArp },
    };

    public static TheoryData<string, byte[], Enum> Unanswered => new()
    {
        { "nothing", [], PacketVerdict.Malformed },
        { "half a header", Frames.ArpRequest[..13], PacketVerdict.Malformed },
        { "half a tag", Frames.ArpRequest[..12].Concat(Frames.Bytes("8100 00")).ToArray(), PacketVerdict.Malformed },
        { "from a group", Frames.EchoRequest.With(6, "01"), PacketVerdict.Malformed },
        { "from itself", Frames.EchoRequest.With(6, "020000000007"), PacketVerdict.NotForUs },
        { "to another station", Frames.EchoRequest.With(0, "020000000008"), PacketVerdict.NotForUs },
        { "to a group", Frames.EchoRequest.With(0, "01005e000001"), PacketVerdict.NotForUs },
        { "an echo to all stations", Frames.EchoRequest.With(0, "ffffffffffff"), PacketVerdict.NotForUs },
        { "another protocol", Frames.EchoRequest.With(12, "86dd"), PacketVerdict.Unserved },
        { "three tags", Frames.EchoRequest.Tagged("8100 0001").Tagged("8100 0002").Tagged("8100 0003"), PacketVerdict.Unserved },

        { "ARP cut short", Frames.ArpRequest[..41], PacketVerdict.Malformed },
        { "ARP of another network", Frames.ArpRequest.With(14, "0006"), PacketVerdict.Malformed },
        { "ARP of longer addresses", Frames.ArpRequest.With(18, "08"), PacketVerdict.Malformed },
        { "ARP for another", Frames.ArpRequest.With(38, "c0000208"), PacketVerdict.NotForUs },
        { "an answer of ARP", Frames.ArpRequest.With(20, "0002"), PacketVerdict.Unserved },
        { "ARP whose answer would go to all", Frames.ArpRequest.With(22, "ffffffffffff"), PacketVerdict.Unanswerable },
        { "ARP whose answer would go to itself", Frames.ArpRequest.With(22, "020000000007"), PacketVerdict.Unanswerable },
        { "ARP of a group's address", Frames.ArpRequest.With(28, "e0000001"), PacketVerdict.Unanswerable },
        { "another's announcement of the address", Frames.ArpRequest.With(28, "c0000207"), PacketVerdict.AddressConflict },

        { "IPv4 cut short", Frames.EchoRequest[..33], PacketVerdict.Malformed },
        { "IPv4 longer than its frame", Frames.EchoRequest.With(16, "002f").Summed(), PacketVerdict.Malformed },
        { "IPv4 shorter than its header", Frames.EchoRequest.With(16, "0013"), PacketVerdict.Malformed },
        { "IPv4 with half a header", Frames.EchoRequest.With(14, "44"), PacketVerdict.Malformed },
        { "version 6", Frames.EchoRequest.With(14, "65"), PacketVerdict.Malformed },
        { "a damaged header", Frames.EchoRequest.With(22, "3f"), PacketVerdict.BadChecksum },
        { "another address", Frames.EchoRequest.With(30, "c0000208").Summed(), PacketVerdict.NotForUs },
        { "the network's broadcast address", Frames.EchoRequest.With(30, "c00002ff").Summed(), PacketVerdict.NotForUs },
        { "a first fragment", Frames.EchoRequest.With(Frames.IpFlags, "2000").Summed(), PacketVerdict.Fragment },
        { "a last fragment", Frames.EchoRequest.With(Frames.IpFlags, "0001").Summed(), PacketVerdict.Fragment },
        { "from the own address", Frames.EchoRequest.With(Frames.IpSource, "c0000207").Summed(), PacketVerdict.Unanswerable },
        { "from all hosts", Frames.EchoRequest.With(Frames.IpSource, "ffffffff").Summed(), PacketVerdict.Unanswerable },
        { "from all hosts of the network", Frames.EchoRequest.With(Frames.IpSource, "c00002ff").Summed(), PacketVerdict.Unanswerable },
        { "from a group of hosts", Frames.EchoRequest.With(Frames.IpSource, "e0000001").Summed(), PacketVerdict.Unanswerable },
        { "from nobody", Frames.EchoRequest.With(Frames.IpSource, "00000000").Summed(), PacketVerdict.Unanswerable },
        { "from a loop within a host", Frames.EchoRequest.With(Frames.IpSource, "7f000001").Summed(), PacketVerdict.Unanswerable },
        { "with options", Frames.EchoRequest.With(14, "46").Summed(), PacketVerdict.Unserved },
        { "TCP", Frames.EchoRequest.With(23, "06").Summed(), PacketVerdict.Unserved },

        { "ICMP cut short", Frames.EchoRequest.With(16, "001b").With(24, "a495"), PacketVerdict.Malformed },
        { "damaged data of ICMP", Frames.EchoRequest.With(42, "69"), PacketVerdict.BadChecksum },
        { "an answer of ICMP", Frames.EchoRequest.With(Frames.Message, "00").Summed(), PacketVerdict.Unserved },
        { "an echo with a code", Frames.EchoRequest.With(Frames.Message, "0801").Summed(), PacketVerdict.Malformed },

        { "UDP longer than its packet", Frames.UdpRequest.With(38, "000c"), PacketVerdict.Malformed },
        { "UDP shorter than its header", Frames.UdpRequest.With(38, "0007"), PacketVerdict.Malformed },
        { "damaged data of UDP", Frames.UdpRequest.With(42, "69"), PacketVerdict.BadChecksum },
        { "another port", Frames.UdpRequest.With(36, "0009").Summed(), PacketVerdict.Unserved },
        { "an echo server", Frames.UdpRequest.With(34, "0007").Summed(), PacketVerdict.Unanswerable },
        { "a chargen server", Frames.UdpRequest.With(34, "0013").Summed(), PacketVerdict.Unanswerable },
        { "a port that wants no answer", Frames.UdpRequest.With(34, "0000").Summed(), PacketVerdict.Unanswerable },
    };

    [Theory]
    [MemberData(nameof(Answered))]
    public void A_question_is_answered(string what, byte[] frame, byte[] expected, Enum verdict)
    {
        _ = what;
        byte[] before = [.. frame];
        byte[] answer = Room(frame);
        int length = _responder.Answer(frame, answer, out PacketVerdict found);
        Assert.Equal((PacketVerdict)verdict, found);
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(answer.AsSpan(0, length)));
        Assert.Equal(before, frame);
        Assert.Equal(1, _responder.Count((PacketVerdict)verdict));

        byte[] place = Room(frame);
        place.AsSpan().Fill(0xa5);
        frame.CopyTo(place, 0);
        int inPlace = _responder.Answer(place.AsSpan(0, frame.Length), place, out _);
        Assert.Equal(expected, place[..inPlace]);
        Assert.Equal(2, _responder.Count((PacketVerdict)verdict));
    }

    [Theory]
    [MemberData(nameof(Unanswered))]
    public void What_must_not_be_answered_is_not(string what, byte[] frame, Enum verdict)
    {
        _ = what;
        byte[] answer = Room(frame);
        Assert.Equal(0, _responder.Answer(frame, answer, out PacketVerdict found));
        Assert.Equal((PacketVerdict)verdict, found);
        Assert.All(answer, one => Assert.Equal(0, one));
        Assert.Equal(1, _responder.Count((PacketVerdict)verdict));
    }

    [Fact]
    public void Data_of_any_length_come_back()
    {
        Random random = new(5);
        for (int length = 0; length <= 1472; length++)
        {
            byte[] data = new byte[length];
            random.NextBytes(data);
            byte[] frame = [.. Frames.EchoRequest[..42], .. data];
            frame.With(16, (28 + length).ToString("x4")).Summed();
            byte[] answer = Room(frame);
            int count = _responder.Answer(frame, answer, out _);
            Assert.Equal(Math.Max(60, frame.Length), count);
            Assert.Equal(0xffff, Frames.Sum(answer.AsSpan(Frames.Message, 8 + length)));
            Assert.True(answer.AsSpan(42, length).SequenceEqual(data));
        }
    }

    [Fact]
    public void Another_port_of_UDP_can_be_the_one_that_answers()
    {
        Responder other = new(Frames.OwnMac, Frames.OwnAddress, echoPort: 5000);
        byte[] answer = new byte[60];
        Assert.Equal(60, other.Answer(Frames.UdpRequest.With(36, "1388").Summed(), answer, out _));
        Assert.Equal(0, other.Answer(Frames.UdpRequest, answer, out _));
        Assert.Equal(0, other.Answer(Frames.UdpRequest.With(34, "1388 1388").Summed(), answer, out PacketVerdict circle));
        Assert.Equal(PacketVerdict.Unanswerable, circle);

        Responder none = new(Frames.OwnMac, Frames.OwnAddress, echoPort: null);
        Assert.Equal(0, none.Answer(Frames.UdpRequest, answer, out PacketVerdict verdict));
        Assert.Equal(PacketVerdict.Unserved, verdict);
    }

    [Fact]
    public void An_answer_without_room_is_the_callers_bug()
    {
        Assert.Throws<ArgumentException>(() => _responder.Answer(Frames.ArpRequest, new byte[59], out _));
        Assert.Throws<ArgumentException>(() => _responder.Answer(new byte[100], new byte[99], out _));
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[][] frames = [Frames.ArpRequest, Frames.EchoRequest, Frames.UdpRequest, Frames.UdpRequest.With(42, "69"), Frames.ArpReply];
        byte[] answer = new byte[60];
        Assert.Equal(0, Measure.Allocations(() =>
        {
            foreach (byte[] frame in frames)
                _responder.Answer(frame, answer, out _);
        }));
    }

    private static byte[] Room(byte[] frame) => new byte[Math.Max(60, frame.Length)];
}
