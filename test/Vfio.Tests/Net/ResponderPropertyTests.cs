using System.Buffers.Binary;
using Vfio.Net;

namespace Vfio.Tests.Net;

/// <summary>Whatever comes, a responder never throws, and what it answers is right by another reading of the RFCs.</summary>
public sealed class ResponderPropertyTests
{
    private const int FramesARow = 40_000;
    private static readonly PacketVerdict[] Answers = [PacketVerdict.AnsweredArp, PacketVerdict.AnsweredIcmp, PacketVerdict.AnsweredUdp];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Of_changed_frames(int seed)
    {
        Random random = new(seed);
        Responder responder = new(Frames.OwnMac, Frames.OwnAddress);
        for (int i = 0; i < FramesARow; i++)
            Check(responder, Change(random), $"seed {seed}, frame {i}");

        // Neither all of them nor none: changed frames reach every end that the table of the responder has.
        Assert.All(Enum.GetValues<PacketVerdict>(), verdict => Assert.True(responder.Count(verdict) > 0, verdict.ToString()));
        Assert.Equal(FramesARow, Enum.GetValues<PacketVerdict>().Sum(responder.Count));
    }

    [Fact]
    public void Of_noise()
    {
        Random random = new(9);
        Responder responder = new(Frames.OwnMac, Frames.OwnAddress);
        for (int i = 0; i < FramesARow; i++)
        {
            byte[] frame = new byte[random.Next(200)];
            random.NextBytes(frame);
            if (random.Next(2) == 0 && frame.Length >= 14)
                frame.With(0, "020000000007").With(12, random.Next(2) == 0 ? "0800" : "0806");
            Check(responder, frame, $"frame {i}");
        }
    }

    private static byte[] Change(Random random)
    {
        byte[] frame = random.Next(3) switch { 0 => Frames.ArpRequest, 1 => Frames.EchoRequest, _ => Frames.UdpRequest };
        for (int changes = random.Next(4); changes > 0; changes--)
        {
            int at = random.Next(frame.Length);
            frame[at] = random.Next(4) switch
            {
                0 => 0,
                1 => 0xff,
                2 => (byte)(frame[at] ^ (1 << random.Next(8))),
                _ => (byte)random.Next(256),
            };
        }

        if (random.Next(8) == 0 && frame[12] == 8 && frame[13] == 6)
            frame.With(28, "c0000207");
        if (random.Next(2) == 0 && frame[12] == 8 && frame[13] == 0)
            frame.Summed();
        if (random.Next(4) == 0)
            frame = frame.Tagged("8100 0005");
        return random.Next(8) == 0 ? frame[..random.Next(frame.Length)] : frame;
    }

    private static void Check(Responder responder, byte[] frame, string what)
    {
        byte[] answer = new byte[Math.Max(60, frame.Length)];
        answer.AsSpan().Fill(0xa5);
        int length = responder.Answer(frame, answer, out PacketVerdict verdict);
        Assert.Equal(Answers.Contains(verdict), length > 0);
        if (length == 0)
        {
            Assert.All(answer, one => Assert.Equal(0xa5, one));
            return;
        }

        Assert.InRange(length, 60, answer.Length);
        Assert.True(IsRight(frame, answer.AsSpan(0, length), verdict), $"{what}: {Convert.ToHexString(frame)}");
    }

    private static bool IsRight(ReadOnlySpan<byte> frame, ReadOnlySpan<byte> answer, PacketVerdict verdict)
    {
        // From the station, to one other; the type and the tags as they came.
        if (!answer[6..12].SequenceEqual(Frames.Bytes("020000000007")) || answer[..6].SequenceEqual(answer[6..12]) || (answer[0] & 1) != 0)
            return false;
        int at = 12;
        while (BinaryPrimitives.ReadUInt16BigEndian(answer[at..]) is 0x8100 or 0x88a8)
            at += 4;
        if (!answer[12..(at + 2)].SequenceEqual(frame[12..(at + 2)]))
            return false;
        ReadOnlySpan<byte> packet = answer[(at + 2)..];
        return verdict == PacketVerdict.AnsweredArp
            ? packet.StartsWith(Frames.Bytes("0001 0800 06 04 0002 020000000007 c0000207")) && IsZero(packet[28..])
            : IsRightIpv4(frame[(at + 2)..], packet);
    }

    private static bool IsRightIpv4(ReadOnlySpan<byte> question, ReadOnlySpan<byte> packet)
    {
        int total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (packet[0] != 0x45 || total < 28 || !IsZero(packet[total..]) || Frames.Sum(packet[..20]) != 0xffff)
            return false;
        bool isTurned = packet[12..16].SequenceEqual(Frames.Bytes("c0000207")) && packet[16..20].SequenceEqual(question[12..16]);
        ReadOnlySpan<byte> message = packet[20..total];
        ReadOnlySpan<byte> asked = question[20..];
        bool isEcho = message[8..].SequenceEqual(asked[8..message.Length]);
        if (packet[9] == 1)
            return isTurned && isEcho && message[0] == 0 && Frames.Sum(message) == 0xffff && message[4..8].SequenceEqual(asked[4..8]);
        bool isSummed = message[6..8].SequenceEqual(Frames.Bytes("0000")) || (Frames.PseudoSum(packet[12..20], total - 20) is int start
            && Frames.Sum(message, start) == 0xffff);
        bool arePortsTurned = message[..2].SequenceEqual(asked[2..4]) && message[2..4].SequenceEqual(asked[..2]);
        return isTurned && isEcho && isSummed && arePortsTurned && BinaryPrimitives.ReadUInt16BigEndian(message[4..]) == message.Length;
    }

    private static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);
}
