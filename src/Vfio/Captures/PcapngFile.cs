using System.Text;

namespace Vfio.Captures;

/// <summary>A pcapng capture of one source, gathered in memory and written to a stream.</summary>
/// <remarks>draft-ietf-opsawg-pcapng: a section header, an interface description, an enhanced packet block for each packet, and statistics
/// at the end. Times are nanoseconds. One thread at a time; a packet allocates nothing. Exceptions of the stream are not caught.</remarks>
internal sealed class PcapngFile
{
    private const uint SectionHeader = 0x0a0d0d0a, InterfaceDescription = 1, InterfaceStatistics = 5, EnhancedPacket = 6;
    private const uint ByteOrderMagic = 0x1a2b3c4d;
    private const byte Nanoseconds = 9; // if_tsresol: ten to the minus ninth
    private const int GatheredBytes = 1 << 16, HeadBytes = 4096, PacketOverheadBytes = 64;
    private readonly Stream _stream;
    private readonly byte[] _buffer;
    private readonly int _snapLength;
    private int _used;
    private bool _isFinished;

    /// <summary>Starts a capture; nothing is written before the first <see cref="Flush"/>.</summary>
    /// <param name="stream">The stream to write to; the caller owns it. It is never read, and its position is never set.</param>
    /// <param name="source">What the packets come from.</param>
    /// <param name="application">The name of the program.</param>
    /// <param name="comment">A comment on the whole, for people; null for none.</param>
    /// <exception cref="ArgumentException">The snap length is not 1 to 262144, or a text is longer than 1000 bytes.</exception>
    internal PcapngFile(Stream stream, PcapngSource source, string application, string? comment = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(source);
        ArgumentOutOfRangeException.ThrowIfLessThan(source.SnapLengthBytes, 1, nameof(source));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(source.SnapLengthBytes, PcapngSource.MaxSnapLengthBytes, nameof(source));
        _stream = stream;
        _snapLength = source.SnapLengthBytes;
        _buffer = new byte[GatheredBytes + HeadBytes + PcapngBlock.Padded(_snapLength) + PacketOverheadBytes];
        WriteSection(application, comment);
        WriteInterface(source);
    }

    /// <summary>Packets written.</summary>
    internal long Packets { get; private set; }

    /// <summary>Bytes written so far, with what is still gathered in memory.</summary>
    internal long WrittenBytes { get; private set; }

    /// <summary>Writes a packet.</summary>
    /// <param name="packet">What there is of its bytes; at most the snap length of them are kept.</param>
    /// <param name="originalLength">How long it was, in bytes.</param>
    /// <param name="nanosecondsSinceEpoch">When: since 1970-01-01 UTC.</param>
    /// <param name="flags">The option <c>epb_flags</c>: in bits 1:0, 1 for one that came and 2 for one that went.</param>
    internal void Write(ReadOnlySpan<byte> packet, int originalLength, ulong nanosecondsSinceEpoch, uint flags)
    {
        ObjectDisposedException.ThrowIf(_isFinished, this);
        if (_used >= GatheredBytes)
            Flush();
        ReadOnlySpan<byte> kept = packet[..Math.Min(packet.Length, _snapLength)];
        PcapngBlock block = new(_buffer.AsSpan(_used), EnhancedPacket);
        block.Add(0u); // the first interface of the section
        block.AddTime(nanosecondsSinceEpoch);
        block.Add((uint)kept.Length);
        block.Add((uint)originalLength);
        block.Add(kept);
        block.AddOption(PacketOption.Flags, flags);
        Append(block.End());
        Packets++;
    }

    /// <summary>Writes what was gathered to the stream, so that a reader sees it now.</summary>
    internal void Flush()
    {
        // Dropped also when the stream throws: a part of it may have been written, and must not be written twice.
        int count = _used;
        _used = 0;
        _stream.Write(_buffer, 0, count);
        _stream.Flush();
    }

    /// <summary>Writes the statistics and ends the capture.</summary>
    /// <param name="start">When it began, in nanoseconds since 1970.</param>
    /// <param name="end">When it ended.</param>
    /// <param name="received">Packets that there were.</param>
    /// <param name="dropped">Packets of those that are missing; null when unknown.</param>
    internal void Finish(ulong start, ulong end, long received, long? dropped)
    {
        ObjectDisposedException.ThrowIf(_isFinished, this);
        if (_used >= GatheredBytes)
            Flush();
        PcapngBlock block = new(_buffer.AsSpan(_used), InterfaceStatistics);
        block.Add(0u);
        block.AddTime(end);
        block.AddTimeOption(StatisticsOption.StartTime, start);
        block.AddTimeOption(StatisticsOption.EndTime, end);
        block.AddOption(StatisticsOption.Received, (ulong)received);
        if (dropped is { } lost)
            block.AddOption(StatisticsOption.Dropped, (ulong)lost);
        Append(block.End());
        _isFinished = true;
        Flush();
    }

    /// <summary>Writes what is gathered; a capture that was not finished ends without statistics.</summary>
    internal void End()
    {
        if (_used > 0)
            Flush();
        _isFinished = true;
    }

    private void WriteSection(string application, string? comment)
    {
        PcapngBlock block = new(_buffer.AsSpan(_used), SectionHeader);
        block.Add(ByteOrderMagic);
        block.Add((ushort)1); // version 1.0
        block.Add((ushort)0);
        block.Add(ulong.MaxValue); // its length is not known ahead
        if (comment is not null)
            block.AddOption(SectionOption.Comment, Text(comment));
        block.AddOption(SectionOption.OperatingSystem, Text(Environment.OSVersion.VersionString));
        block.AddOption(SectionOption.Application, Text(application));
        Append(block.End());
    }

    private void WriteInterface(PcapngSource source)
    {
        PcapngBlock block = new(_buffer.AsSpan(_used), InterfaceDescription);
        block.Add(source.LinkType);
        block.Add((ushort)0);
        block.Add((uint)source.SnapLengthBytes);
        block.AddOption(InterfaceOption.Name, Text(source.Name));
        if (source.Description is { } description)
            block.AddOption(InterfaceOption.Description, Text(description));
        if (source.MacAddress.Length > 0)
            block.AddOption(InterfaceOption.MacAddress, source.MacAddress);
        block.AddOption(InterfaceOption.TimeResolution, [Nanoseconds]);
        Append(block.End());
    }

    private static byte[] Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes.Length, 1000, nameof(text));
        return bytes;
    }

    private void Append(int length)
    {
        _used += length;
        WrittenBytes += length;
    }

    private static class SectionOption
    {
        internal const ushort Comment = 1, OperatingSystem = 3, Application = 4;
    }

    private static class InterfaceOption
    {
        internal const ushort Name = 2, Description = 3, MacAddress = 6, TimeResolution = 9;
    }

    private static class PacketOption
    {
        internal const ushort Flags = 2;
    }

    private static class StatisticsOption
    {
        internal const ushort StartTime = 2, EndTime = 3, Received = 4, Dropped = 5;
    }
}
