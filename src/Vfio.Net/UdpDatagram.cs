using System.Buffers.Binary;

namespace Vfio.Net;

/// <summary>A datagram of UDP.</summary>
/// <remarks>RFC 768. Reads the bytes it was given; copies nothing.</remarks>
internal readonly ref struct UdpDatagram
{
    /// <summary>Bytes before the data.</summary>
    public const int HeaderBytes = 8;

    private const int ChecksumOffset = 6;
    private readonly ReadOnlySpan<byte> _bytes;

    private UdpDatagram(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Port of the sender; 0 where none is to answer.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_bytes);

    /// <summary>Port of the receiver.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]);

    /// <summary>Header and data, in bytes.</summary>
    public int TotalBytes => _bytes.Length;

    /// <summary>The data.</summary>
    public ReadOnlySpan<byte> Data => _bytes[HeaderBytes..];

    /// <summary>Reads a datagram and checks its length, and its checksum if it has one.</summary>
    /// <param name="packet">The packet that it is in.</param>
    /// <param name="datagram">The datagram, when there is no fault.</param>
    public static PacketFault Read(Ipv4Packet packet, out UdpDatagram datagram)
    {
        datagram = default;
        ReadOnlySpan<byte> payload = packet.Payload;
        if (payload.Length < HeaderBytes)
            return PacketFault.Malformed;
        int length = BinaryPrimitives.ReadUInt16BigEndian(payload[4..]);
        if (length < HeaderBytes || length > payload.Length)
            return PacketFault.Malformed;
        payload = payload[..length];
        bool isChecked = BinaryPrimitives.ReadUInt16BigEndian(payload[ChecksumOffset..]) != 0;
        if (isChecked && Checksum(payload, packet.Source, packet.Destination) != 0)
            return PacketFault.BadChecksum;
        datagram = new UdpDatagram(payload);
        return PacketFault.None;
    }

    /// <summary>Writes a header around the data that is in <paramref name="datagram"/> from byte 8 on.</summary>
    /// <param name="datagram">The whole datagram, header and data.</param>
    /// <param name="source">Whence.</param>
    /// <param name="sourcePort">Port of the sender.</param>
    /// <param name="target">Where to.</param>
    /// <param name="destinationPort">Port of the receiver.</param>
    public static void WriteHeader(
        Span<byte> datagram, Ipv4Address source, ushort sourcePort, Ipv4Address target, ushort destinationPort)
    {
        BinaryPrimitives.WriteUInt16BigEndian(datagram, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], checked((ushort)datagram.Length));
        BinaryPrimitives.WriteUInt16BigEndian(datagram[ChecksumOffset..], 0);
        ushort checksum = Checksum(datagram, source, target);

        // 0 says that there is none; all ones is the same number in ones' complement.
        BinaryPrimitives.WriteUInt16BigEndian(datagram[ChecksumOffset..], checksum == 0 ? (ushort)0xffff : checksum);
    }

    /// <summary>Exchanges the ports. Sender and receiver exchanged sum to the same, so that the checksum stays.</summary>
    internal static void MakeReply(Span<byte> datagram)
    {
        ushort source = BinaryPrimitives.ReadUInt16BigEndian(datagram);
        datagram[2..4].CopyTo(datagram);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], source);
    }

    private static ushort Checksum(ReadOnlySpan<byte> datagram, Ipv4Address source, Ipv4Address target) =>
        InternetChecksum.Compute(datagram, InternetChecksum.PseudoHeader(source, target, IpProtocol.Udp, datagram.Length));
}
