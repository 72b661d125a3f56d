using System.Buffers.Binary;

namespace Vfio.Net;

/// <summary>A message of ICMP, read as the question or the answer of an echo.</summary>
/// <remarks>RFC 792. Reads the bytes it was given; copies nothing.</remarks>
internal readonly ref struct IcmpEcho
{
    /// <summary>Bytes before the data.</summary>
    public const int HeaderBytes = 8;

    private const int ChecksumOffset = 2;
    private readonly ReadOnlySpan<byte> _bytes;

    private IcmpEcho(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>What the message is.</summary>
    public IcmpType Type => (IcmpType)_bytes[0];

    /// <summary>What it is exactly; 0 of an echo.</summary>
    public byte Code => _bytes[1];

    /// <summary>Who asks, by a number of its own.</summary>
    public ushort Identifier => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);

    /// <summary>Which of its questions.</summary>
    public ushort Sequence => BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]);

    /// <summary>What comes back as it was sent.</summary>
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

    /// <summary>Writes a question or an answer around the data that is in <paramref name="message"/> from byte 8 on.</summary>
    /// <param name="message">The whole message, header and data.</param>
    /// <param name="type">What it is.</param>
    /// <param name="identifier">Who asks.</param>
    /// <param name="sequence">Which question.</param>
    public static void WriteHeader(Span<byte> message, IcmpType type, ushort identifier, ushort sequence)
    {
        message[..HeaderBytes].Clear();
        message[0] = (byte)type;
        BinaryPrimitives.WriteUInt16BigEndian(message[4..], identifier);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], sequence);
        BinaryPrimitives.WriteUInt16BigEndian(message[ChecksumOffset..], InternetChecksum.Compute(message));
    }

    /// <summary>Makes a question its answer: another type, and a checksum that is right if it was.</summary>
    internal static void FunctionLock(Span<byte> message)
    {
        Span<byte> field = message[ChecksumOffset..];
        ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(field);
        message[0] = (byte)IcmpType.EchoReply;
        BinaryPrimitives.WriteUInt16BigEndian(
            field, InternetChecksum.Update(checksum, (byte)IcmpType.EchoRequest << 8, (byte)IcmpType.EchoReply << 8));
    }
}

/// <summary>What a message of ICMP is; any other value may come.</summary>
internal enum IcmpType : byte
{
    /// <summary>The answer of an echo.</summary>
    EchoReply = 0,

    /// <summary>The question of an echo.</summary>
    EchoRequest = 8,
}
