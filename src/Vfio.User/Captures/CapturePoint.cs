using System.Buffers;
using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Captures;

/// <summary>One socket of a session that is captured: cuts what is sent into messages, and puts a header before each message.</summary>
/// <remarks>
/// <para>A packet begins with the tags of LINKTYPE_WIRESHARK_UPPER_PDU, numbers of which are big-endian: the name of the dissector, and
/// whether this side sent or received. Then 12 bytes follow, little-endian, and the message:</para>
/// <list type="table">
/// <item><term>0, 1 byte</term><description>1, the version of this layout</description></item>
/// <item><term>1, 1 byte</term><description>0 from the client to the server, 1 from the server to the client</description></item>
/// <item><term>2, 1 byte</term><description>0 the socket of the session, 1 its twin socket</description></item>
/// <item><term>3, 1 byte</term><description>bit 0: no message, but the bytes that had arrived when the stream ended or broke</description></item>
/// <item><term>4, 4 bytes</term><description>the session, from 1</description></item>
/// <item><term>8, 4 bytes</term><description>descriptors that came with the message</description></item>
/// </list>
/// <para>Any thread; messages of one socket come one after the other.</para>
/// </remarks>
internal sealed class CapturePoint
{
    /// <summary>Bytes before the message.</summary>
    internal const int PrefixBytes = 36;

    private const int TagBytes = 24;
    private const uint Inbound = 1, Outbound = 2;
    private readonly CaptureQueue _queue;
    private readonly CapturedParts _parts;
    private readonly uint _session;
    private readonly bool _isServer;
    private readonly byte[] _sent;
    private readonly byte[] _received;

    /// <summary>Makes the point of one socket.</summary>
    /// <param name="queue">Gets the packets.</param>
    /// <param name="parts">How much of a message is kept.</param>
    /// <param name="session">The session's number.</param>
    /// <param name="isServer">Whether this side is the server.</param>
    /// <param name="isTwin">Whether it is the twin socket.</param>
    internal CapturePoint(CaptureQueue queue, CapturedParts parts, uint session, bool isServer, bool isTwin = false)
    {
        (_queue, _parts, _session, _isServer) = (queue, parts, session, isServer);
        _sent = Prefix(session, isSent: true, fromServer: isServer, isTwin);
        _received = Prefix(session, isSent: false, fromServer: !isServer, isTwin);
    }

    /// <summary>The point of the session's twin socket.</summary>
    internal CapturePoint Twin() => new(_queue, _parts, _session, _isServer, isTwin: true);

    /// <summary>Whole messages, of which the last may continue in <paramref name="rest"/>, are about to be sent.</summary>
    /// <param name="messages">They begin here.</param>
    /// <param name="rest">The rest of the last one.</param>
    /// <param name="descriptors">Descriptors of the first.</param>
    internal void Sending(ReadOnlySpan<byte> messages, ReadOnlySpan<byte> rest, int descriptors)
    {
        while (messages.Length > 0)
        {
            // This side wrote it: the size is right.
            int size = (int)Blittable.Read<MessageHeader>(messages).Size;
            int here = Math.Min(size, messages.Length);
            Add(_sent, isPart: false, messages[..here], here < size ? rest : default, size, descriptors, Outbound);
            messages = messages[here..];
            descriptors = 0;
        }
    }

    /// <summary>As the other, with a rest in mapped memory, which the other side may change until it is sent.</summary>
    internal void Sending(ReadOnlySpan<byte> messages, SharedMemory memory, ulong offset, int length)
    {
        byte[] copy = ArrayPool<byte>.Shared.Rent(Math.Min(length, _parts.SnapLengthBytes));
        Span<byte> rest = copy.AsSpan(0, Math.Min(length, _parts.SnapLengthBytes));
        if (!memory.TryRead(offset, rest))
            rest.Clear();
        Sending(messages, rest, descriptors: 0);
        ArrayPool<byte>.Shared.Return(copy);
    }

    /// <summary>A message was received.</summary>
    internal void Received(ReadOnlySpan<byte> message, int descriptors) =>
        Add(_received, isPart: false, message, default, message.Length, descriptors, Inbound);

    /// <summary>The stream ended within a message, or cannot be read any further.</summary>
    /// <param name="bytes">What had arrived.</param>
    /// <param name="descriptors">Descriptors that came with it.</param>
    internal void ReceivedPart(ReadOnlySpan<byte> bytes, int descriptors) =>
        Add(_received, isPart: true, bytes, default, bytes.Length, descriptors, Inbound);

    private void Add(
        ReadOnlySpan<byte> template, bool isPart, ReadOnlySpan<byte> first, ReadOnlySpan<byte> rest, int length, int descriptors, uint flags)
    {
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        template.CopyTo(prefix);
        prefix[TagBytes + 3] = isPart ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32LittleEndian(prefix[(TagBytes + 8)..], descriptors);
        int kept = _parts.KeptOf(first, length, isPart);
        int ofFirst = Math.Min(kept, first.Length);
        int ofRest = Math.Min(kept - ofFirst, rest.Length);
        _queue.Add(PrefixBytes + length, flags, prefix, first[..ofFirst], rest[..ofRest]);
    }

    /// <summary>What is the same for all packets of one direction.</summary>
    private static byte[] Prefix(uint session, bool isSent, bool fromServer, bool isTwin)
    {
        const ushort DissectorName = 12, Direction = 35; // EXP_PDU_TAG_DISSECTOR_NAME and EXP_PDU_TAG_P2P_DIRECTION; 0 ends the tags
        byte[] prefix = new byte[PrefixBytes];
        Span<byte> to = prefix;
        BinaryPrimitives.WriteUInt16BigEndian(to, DissectorName);
        BinaryPrimitives.WriteUInt16BigEndian(to[2..], 8);
        "vfiouser"u8.CopyTo(to[4..]);
        BinaryPrimitives.WriteUInt16BigEndian(to[12..], Direction);
        BinaryPrimitives.WriteUInt16BigEndian(to[14..], 4);
        BinaryPrimitives.WriteUInt32BigEndian(to[16..], isSent ? 0u : 1u);
        prefix[TagBytes] = 1;
        prefix[TagBytes + 1] = fromServer ? (byte)1 : (byte)0;
        prefix[TagBytes + 2] = isTwin ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32LittleEndian(to[(TagBytes + 4)..], session);
        return prefix;
    }
}
