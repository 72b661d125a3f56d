using System.Buffers.Binary;

namespace Vfio.Net;

/// <summary>A packet of IPv4.</summary>
/// <remarks>RFC 791. Reads the bytes in place, without a copy.</remarks>
internal readonly ref struct Ipv4Packet
{
    /// <summary>Length of a header without options, in bytes.</summary>
    public const int PlainHeaderBytes = 20;

    /// <summary>The longest packet, in bytes.</summary>
    public const int MaxBytes = 65535;

    private const int Version = 4;
    private const ushort DontFragment = 0x4000, MoreFragments = 0x2000, FragmentOffset = 0x1fff;
    private readonly ReadOnlySpan<byte> _bytes;

    private Ipv4Packet(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Bytes before the payload: 20 to 60.</summary>
    public int HeaderBytes => (_bytes[0] & 0xf) * sizeof(uint);

    /// <summary>Whether something follows the plain header.</summary>
    public bool HasOptions => HeaderBytes > PlainHeaderBytes;

    /// <summary>Differentiated services and congestion, RFC 2474 and 3168; the type of service of old.</summary>
    public byte Service => _bytes[1];

    /// <summary>Header and payload, in bytes.</summary>
    public int TotalBytes => _bytes.Length;

    /// <summary>Whether the packet is a part of a larger one.</summary>
    public bool IsFragment => (BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]) & (MoreFragments | FragmentOffset)) != 0;

    /// <summary>How many routers it may still pass.</summary>
    public byte TimeToLive => _bytes[8];

    /// <summary>What the payload is.</summary>
    public IpProtocol Protocol => (IpProtocol)_bytes[9];

    /// <summary>Source address.</summary>
    public Ipv4Address Source => new(BinaryPrimitives.ReadUInt32BigEndian(_bytes[12..]));

    /// <summary>Destination address.</summary>
    public Ipv4Address Destination => new(BinaryPrimitives.ReadUInt32BigEndian(_bytes[16..]));

    /// <summary>What follows the header and its options.</summary>
    public ReadOnlySpan<byte> Payload => _bytes[HeaderBytes..];

    /// <summary>Reads a packet and checks its lengths and its header's checksum.</summary>
    /// <param name="payload">Payload of a frame; what follows the packet is left out.</param>
    /// <param name="packet">The packet, when there is no fault.</param>
    public static PacketFault Read(ReadOnlySpan<byte> payload, out Ipv4Packet packet)
    {
        packet = default;
        if (payload.Length < PlainHeaderBytes || payload[0] >> 4 != Version)
            return PacketFault.Malformed;
        int header = (payload[0] & 0xf) * sizeof(uint);
        int total = BinaryPrimitives.ReadUInt16BigEndian(payload[2..]);
        if (header < PlainHeaderBytes || total < header || payload.Length < total)
            return PacketFault.Malformed;
        if (InternetChecksum.Compute(payload[..header]) != 0)
            return PacketFault.BadChecksum;
        packet = new Ipv4Packet(payload[..total]);
        return PacketFault.None;
    }

    /// <summary>Writes a header without options that must not be fragmented.</summary>
    /// <param name="destination">At least 20 bytes.</param>
    /// <param name="payloadBytes">Length of what follows, at most 65515.</param>
    /// <param name="protocol">What follows.</param>
    /// <param name="source">Source address.</param>
    /// <param name="target">Destination address.</param>
    /// <param name="service">Differentiated services.</param>
    /// <param name="timeToLive">How many routers it may pass.</param>
    /// <remarks>The identification is 0: only what may be fragmented needs one (RFC 6864, section 4.1).</remarks>
    public static void WriteHeader(
        Span<byte> destination, int payloadBytes, IpProtocol protocol, Ipv4Address source, Ipv4Address target,
        byte service = 0, byte timeToLive = 64)
    {
        Span<byte> header = destination[..PlainHeaderBytes];
        header.Clear();
        header[0] = (Version << 4) | (PlainHeaderBytes / sizeof(uint));
        header[1] = service;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], checked((ushort)(PlainHeaderBytes + payloadBytes)));
        BinaryPrimitives.WriteUInt16BigEndian(header[6..], DontFragment);
        header[8] = timeToLive;
        header[9] = (byte)protocol;
        BinaryPrimitives.WriteUInt32BigEndian(header[12..], source.Value);
        BinaryPrimitives.WriteUInt32BigEndian(header[16..], target.Value);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Compute(header));
    }
}
