using System.Buffers.Binary;
using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>What is in a frame of Ethernet II, with up to two tags of 802.1Q; without its check sequence.</summary>
/// <remarks>Reads the bytes in place, without a copy.</remarks>
internal readonly ref struct EthernetPacket
{
    /// <summary>Destination, source and type: bytes before the payload of a frame without tags.</summary>
    public const int PlainHeaderBytes = 14;

    /// <summary>The shortest frame on a wire, without its check sequence; shorter ones are filled with zeros.</summary>
    /// <remarks>IEEE 802.3: 64 bytes with the four of the check sequence.</remarks>
    public const int MinBytes = 60;

    private const int TypeOffset = 12, TagBytes = 4, MaxTags = 2;
    private readonly ReadOnlySpan<byte> _bytes;

    private EthernetPacket(ReadOnlySpan<byte> bytes, int headerBytes)
    {
        _bytes = bytes;
        HeaderBytes = headerBytes;
    }

    /// <summary>Destination address.</summary>
    public MacAddress Destination => MacAddress.Read(_bytes);

    /// <summary>Source address.</summary>
    public MacAddress Source => MacAddress.Read(_bytes[MacAddress.Bytes..]);

    /// <summary>What the payload is; a third tag shows here as a type.</summary>
    public EtherType Type => ReadType(_bytes, HeaderBytes - sizeof(ushort));

    /// <summary>Bytes before the payload, tags included: 14, 18 or 22.</summary>
    public int HeaderBytes { get; }

    /// <summary>The number in the outer tag, bits 11:0; null without one.</summary>
    public int? VlanId =>
        HeaderBytes == PlainHeaderBytes ? null : BinaryPrimitives.ReadUInt16BigEndian(_bytes[PlainHeaderBytes..]) & 0xfff;

    /// <summary>What follows the header: the packet, and whatever fills a short frame.</summary>
    public ReadOnlySpan<byte> Payload => _bytes[HeaderBytes..];

    /// <summary>Reads a frame.</summary>
    /// <returns>False when it ends within its header.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out EthernetPacket packet)
    {
        packet = default;
        int at = TypeOffset;
        for (int tags = 0; ; tags++, at += TagBytes)
        {
            if (bytes.Length < at + sizeof(ushort))
                return false;
            if (tags == MaxTags || ReadType(bytes, at) is not (EtherType.Tag or EtherType.ServiceTag))
                break;
        }

        packet = new EthernetPacket(bytes, at + sizeof(ushort));
        return true;
    }

    /// <summary>Writes a header without tags.</summary>
    /// <param name="destination">At least 14 bytes.</param>
    /// <param name="to">Destination address.</param>
    /// <param name="from">Source address.</param>
    /// <param name="type">What follows.</param>
    public static void WriteHeader(Span<byte> destination, MacAddress to, MacAddress from, EtherType type)
    {
        WriteAddresses(destination, to, from);
        BinaryPrimitives.WriteUInt16BigEndian(destination[TypeOffset..], (ushort)type);
    }

    /// <summary>Fills a frame with zeros up to the shortest that a wire takes.</summary>
    /// <param name="frame">A buffer of at least 60 bytes.</param>
    /// <param name="length">Bytes that the frame has in it.</param>
    /// <returns>Bytes that it has now.</returns>
    public static int Fill(Span<byte> frame, int length)
    {
        if (length >= MinBytes)
            return length;

        // Earlier contents of the buffer must not leave this machine.
        frame[length..MinBytes].Clear();
        return MinBytes;
    }

    internal static void WriteAddresses(Span<byte> frame, MacAddress to, MacAddress from)
    {
        to.Write(frame);
        from.Write(frame[MacAddress.Bytes..]);
    }

    private static EtherType ReadType(ReadOnlySpan<byte> bytes, int at) => (EtherType)BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
}
