using System.Buffers.Binary;

namespace Vfio.Devices.Igb;

/// <summary>Cuts what a driver sends as one into segments of TCP or UDP, with headers of their own.</summary>
/// <remarks>82576 Datasheet, section 7.2.4. The driver has put the sum of the pseudo header, without length, into the checksum's
/// field.</remarks>
internal sealed class IgbSegmenter
{
    private const int LongestSegment = 16 << 10;
    private const byte Fin = 0x01, Push = 0x08, WindowReduced = 0x80;
    private readonly byte[] _segment = new byte[LongestSegment];
    private IgbOffload _offload;
    private int _header, _next, _number;
    private uint _pseudo;

    /// <summary>Starts.</summary>
    /// <returns>False when the headers are not what the context says, or a segment has no bytes, or too many.</returns>
    internal bool Begin(ReadOnlySpan<byte> frame, IgbOffload offload)
    {
        int transport = offload.MacLength + offload.NetworkLength;
        int shortest = offload.Protocol switch { IgbPacket.Tcp => 20, IgbPacket.Udp => 8, _ => int.MaxValue };
        _header = transport + offload.TransportLength;
        bool isPossible = offload.MacLength >= IgbPacket.Ethernet && offload.NetworkLength >= (offload.IsIpv4 ? 20 : 40)
            && offload.TransportLength >= shortest && offload.SegmentBytes > 0
            && _header <= frame.Length && offload.SegmentBytes <= LongestSegment - _header;
        if (!isPossible)
            return false;
        _offload = offload;
        _next = _header;
        _number = 0;
        _pseudo = BinaryPrimitives.ReadUInt16BigEndian(frame[(transport + IgbOffloads.FieldOf(offload.Protocol))..]);
        return true;
    }

    /// <summary>Makes the next segment.</summary>
    /// <param name="frame">As for <see cref="Begin"/>.</param>
    /// <param name="segment">Valid until the next call.</param>
    internal bool TryNext(ReadOnlySpan<byte> frame, out Span<byte> segment)
    {
        segment = default;
        if (_next >= frame.Length && _number > 0)
            return false;
        int count = Math.Min(_offload.SegmentBytes, frame.Length - _next);
        bool isLast = _next + count == frame.Length;
        segment = _segment.AsSpan(0, _header + count);
        frame[.._header].CopyTo(segment);
        frame.Slice(_next, count).CopyTo(segment[_header..]);
        WriteNetwork(segment);
        WriteTransport(segment, isLast);
        _next += count;
        _number++;
        return true;
    }

    private void WriteNetwork(Span<byte> segment)
    {
        Span<byte> header = segment[_offload.MacLength..];
        if (!_offload.IsIpv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)(header.Length - 40));
            return;
        }

        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)header.Length);
        ushort identification = BinaryPrimitives.ReadUInt16BigEndian(header[4..]);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)(identification + _number));
        IgbOffloads.TrySumIp(segment, _offload.MacLength, _offload.NetworkLength);
    }

    private void WriteTransport(Span<byte> segment, bool isLast)
    {
        Span<byte> header = segment[(_offload.MacLength + _offload.NetworkLength)..];
        if (_offload.Protocol == IgbPacket.Tcp)
        {
            uint sequence = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
            BinaryPrimitives.WriteUInt32BigEndian(header[4..], sequence + (uint)(_next - _header));
            if (!isLast)
                header[13] &= unchecked((byte)~(Fin | Push));
            if (_number > 0)
                header[13] &= unchecked((byte)~WindowReduced);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)header.Length);
        }

        int field = IgbOffloads.FieldOf(_offload.Protocol);
        BinaryPrimitives.WriteUInt16BigEndian(header[field..], 0);
        ushort sum = IgbChecksum.Field(IgbChecksum.Sum(header, _pseudo + (uint)header.Length));
        BinaryPrimitives.WriteUInt16BigEndian(header[field..], sum == 0 && _offload.Protocol == IgbPacket.Udp ? ushort.MaxValue : sum);
    }
}
