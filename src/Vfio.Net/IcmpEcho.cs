using System.Buffers.Binary;

namespace Vfio.Net;

/// <summary>An ICMP message, read as an echo request or reply.</summary>
/// <remarks>RFC 792. Reads the bytes in place, without a copy.</remarks>
internal readonly ref struct IcmpEcho
{
    /// <summary>Bytes before the data.</summary>
    public const int HeaderBytes = 8;

    private const int ChecksumOffset = 2;
    private readonly ReadOnlySpan<byte> _bytes;

    private IcmpEcho(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>The type.</summary>
    public IcmpType Type => (IcmpType)_bytes[0];

    /// <summary>The code; 0 for an echo.</summary>
    public byte Code => _bytes[1];

    /// <summary>The identifier, chosen by the sender of the request.</summary>
    public ushort Identifier => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);

    /// <summary>The sequence number.</summary>
    public ushort Sequence => BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]);

    /// <summary>The data, which the reply returns unchanged.</summary>
    public ReadOnlySpan<byte> Data => _bytes[HeaderBytes..];

    /// <summary>Reads a message and checks its length and its checksum.</summary>
    /// <param name="payload">The whole payload of an IPv4 packet.</param>
    /// <param name="message">The message, when there is no fault; of another type only that and the code have a meaning.</param>
    public static PacketFault Read(ReadOnlySpan<byte> payload, out IcmpEcho message)
    {
        message = default;
        if (payload.Length < HeaderBytes)
            return PacketFault.Malformed;
        if (InternetChecksum.Compute(payload) != 0)
            return PacketFault.BadChecksum;
        message = new IcmpEcho(payload);
        return PacketFault.None;
    }

    /// <summary>Writes a request or a reply around the data that is in <paramref name="message"/> from byte 8 on.</summary>
    /// <param name="message">The whole message, header and data.</param>
    /// <param name="type">What it is.</param>
    /// <param name="identifier">The identifier.</param>
    /// <param name="sequence">The sequence number.</param>
    public static void WriteHeader(Span<byte> message, IcmpType type, ushort identifier, ushort sequence)
    {
        message[..HeaderBytes].Clear();
        message[0] = (byte)type;
        BinaryPrimitives.WriteUInt16BigEndian(message[4..], identifier);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], sequence);
        BinaryPrimitives.WriteUInt16BigEndian(message[ChecksumOffset..], InternetChecksum.Compute(message));
    }

    /// <summary>Turns a request into its reply: changes the type, and updates the checksum, which is right if it was before.</summary>
    internal static void MakeReply(Span<byte> message)
    {
        Span<byte> field = message[ChecksumOffset..];
        ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(field);
        message[0] = (byte)IcmpType.EchoReply;
        BinaryPrimitives.WriteUInt16BigEndian(
            field, InternetChecksum.Update(checksum, (byte)IcmpType.EchoRequest << 8, (byte)IcmpType.EchoReply << 8));
    }
}

/// <summary>The type of an ICMP message; any other value may come.</summary>
internal enum IcmpType : byte
{
    /// <summary>Echo reply.</summary>
    EchoReply = 0,

    /// <summary>Echo request.</summary>
    EchoRequest = 8,
}
