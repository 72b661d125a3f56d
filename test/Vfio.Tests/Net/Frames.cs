using System.Buffers.Binary;
using Vfio.Drivers.Ethernet;
using Vfio.Net;

namespace Vfio.Tests.Net;

/// <summary>Frames between a peer and the station under test, byte by byte from the RFCs; checksums by another program.</summary>
internal static class Frames
{
    internal const int Ip = 14, IpFlags = Ip + 6, IpSource = Ip + 12, Message = Ip + 20;

    /// <summary>The station under test: 192.0.2.7 at 02:00:00:00:00:07.</summary>
    internal static MacAddress OwnMac { get; } = new(0x020000000007);

    internal static Ipv4Interface OwnAddress { get; } = new(new Ipv4Address(0xc0000207), 24);

    /// <summary>The other host: 192.0.2.1 at 52:54:00:12:34:56.</summary>
    internal static MacAddress PeerMac { get; } = new(0x525400123456);

    internal static Ipv4Interface PeerAddress { get; } = new(new Ipv4Address(0xc0000201), 24);

    /// <summary>Who has 192.0.2.7? Tell 192.0.2.1.</summary>
    internal static byte[] ArpRequest => Filled("ffffffffffff 525400123456 0806 0001 0800 06 04 0001 525400123456 c0000201 000000000000 c0000207");

    internal static byte[] ArpReply => Filled("525400123456 020000000007 0806 0001 0800 06 04 0002 020000000007 c0000207 525400123456 c0000201");

    /// <summary>An echo with "hello, world", of a service that the answer keeps.</summary>
    internal static byte[] EchoRequest => Filled(
        "020000000007 525400123456 0800 45 10 0028 1234 4000 40 01 a488 c0000201 c0000207 08 00 7570 4242 0001 68656c6c6f2c20776f726c64");

    internal static byte[] EchoReply => Filled(
        "525400123456 020000000007 0800 45 10 0028 0000 4000 40 01 b6bc c0000207 c0000201 00 00 7d70 4242 0001 68656c6c6f2c20776f726c64");

    /// <summary>"abc" from port 40000 to port 7.</summary>
    internal static byte[] UdpRequest => Filled(
        "020000000007 525400123456 0800 45 00 001f 1234 4000 40 11 a491 c0000201 c0000207 9c40 0007 000b 1b25 616263");

    internal static byte[] UdpReply => Filled(
        "525400123456 020000000007 0800 45 00 001f 0000 4000 40 11 b6c5 c0000207 c0000201 0007 9c40 000b 1b25 616263");

    /// <summary>The frame with other bytes at one place.</summary>
    internal static byte[] With(this byte[] frame, int at, string hex)
    {
        byte[] bytes = Bytes(hex);
        bytes.CopyTo(frame, at);
        return frame;
    }

    /// <summary>The frame with the checksums that its bytes ask for, so that another fault in it is the only one.</summary>
    internal static byte[] Summed(this byte[] frame)
    {
        int header = (frame[Ip] & 0xf) * 4;
        int total = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(Ip + 2));
        if (header < 20 || total < header + 8 || Ip + total > frame.Length)
            return frame;
        SetSum(frame.AsSpan(Ip, header), 10, 0);
        Span<byte> message = frame.AsSpan(Ip + header, total - header);
        if (frame[Ip + 9] == 1)
            SetSum(message, 2, 0);
        else if (frame[Ip + 9] == 17)
            SetSum(message, 6, PseudoSum(frame.AsSpan(IpSource, 8), message.Length));
        return frame;
    }

    /// <summary>The frame with a tag of 802.1Q after its addresses.</summary>
    internal static byte[] Tagged(this byte[] frame, string tag) => [.. frame[..12], .. Bytes(tag), .. frame[12..]];

    /// <summary>The ones' complement sum, a word at a time: 0xffff over bytes that carry their checksum.</summary>
    internal static int Sum(ReadOnlySpan<byte> bytes, int start = 0)
    {
        int sum = start;
        for (int i = 0; i < bytes.Length; i++)
        {
            sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
            sum = (sum & 0xffff) + (sum >> 16);
        }

        return sum;
    }

    internal static int PseudoSum(ReadOnlySpan<byte> addresses, int length) => Sum(addresses, 17 + length);

    internal static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", ""));

    private static void SetSum(Span<byte> bytes, int at, int start)
    {
        bytes[at..(at + 2)].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(bytes[at..], (ushort)~Sum(bytes, start));
    }

    private static byte[] Filled(string hex)
    {
        byte[] frame = Bytes(hex);
        Array.Resize(ref frame, Math.Max(60, frame.Length));
        return frame;
    }
}
