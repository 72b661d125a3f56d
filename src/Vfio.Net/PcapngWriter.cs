using System.Text;
using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>Writes frames of one port as pcapng, which tcpdump and Wireshark read, also while it grows.</summary>
/// <remarks>
/// <para>draft-ietf-opsawg-pcapng: a section header, an interface description, an enhanced packet block for each frame, and
/// statistics at the end. Times are nanoseconds.</para>
/// <para>Frames are gathered in memory and written when that is full, by <see cref="Flush"/>, and at the end. One thread at a
/// time; writing a frame allocates nothing. Exceptions of the stream are not caught.</para>
/// </remarks>
public sealed class PcapngWriter : IDisposable
{
    private const uint SectionHeader = 0x0a0d0d0a, InterfaceDescription = 1, InterfaceStatistics = 5, EnhancedPacket = 6;
    private const uint ByteOrderMagic = 0x1a2b3c4d;
    private const ushort Ethernet = 1; // LINKTYPE_ETHERNET
    private const byte Nanoseconds = 9; // if_tsresol: ten to the minus ninth
    private const int GatheredBytes = 1 << 16, HeadBytes = 4096, PacketOverheadBytes = 64;
    private readonly Stream _stream;
    private readonly PcapngInterface _source;
    private readonly byte[] _buffer;
    private int _used;
    private bool _isFinished;

    /// <summary>Starts a capture; nothing is written before the first <see cref="Flush"/>.</summary>
    /// <param name="stream">The stream to write to; the caller owns it. It is never read, and its position is never set.</param>
    /// <param name="source">The port that the frames are of.</param>
    /// <param name="application">The name of the program, for the section header.</param>
    /// <exception cref="ArgumentException">The snap length is not 1 to 262144, or a text is longer than 1000 bytes.</exception>
    public PcapngWriter(Stream stream, PcapngInterface source, string application)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(source);
        ArgumentOutOfRangeException.ThrowIfLessThan(source.SnapLengthBytes, 1, nameof(source));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(source.SnapLengthBytes, PcapngInterface.MaxSnapLengthBytes, nameof(source));
        _stream = stream;
        _source = source;
        _buffer = new byte[GatheredBytes + HeadBytes + PcapngBlock.Padded(source.SnapLengthBytes) + PacketOverheadBytes];
        WriteSection(application);
        WriteInterface();
    }

    /// <summary>Frames written.</summary>
    public long Frames { get; private set; }

    /// <summary>Bytes written so far, with what is still gathered in memory.</summary>
    public long WrittenBytes { get; private set; }

    /// <summary>Writes a frame that was received.</summary>
    /// <param name="frame">Its bytes from the destination address on, at most the snap length of them are kept.</param>
    /// <param name="nanosecondsSinceEpoch">When: since 1970-01-01 UTC.</param>
    public void Write(ReadOnlySpan<byte> frame, ulong nanosecondsSinceEpoch) =>
        Write(frame, nanosecondsSinceEpoch, PacketDirection.Inbound);

    /// <summary>Writes a frame.</summary>
    /// <param name="frame">Its bytes from the destination address on, at most the snap length of them are kept.</param>
    /// <param name="nanosecondsSinceEpoch">When: since 1970-01-01 UTC.</param>
    /// <param name="direction">Which way it went.</param>
    internal void Write(ReadOnlySpan<byte> frame, ulong nanosecondsSinceEpoch, PacketDirection direction)
    {
        ObjectDisposedException.ThrowIf(_isFinished, this);
        if (_used >= GatheredBytes)
            Flush();
        ReadOnlySpan<byte> kept = frame[..Math.Min(frame.Length, _source.SnapLengthBytes)];
        PcapngBlock block = new(_buffer.AsSpan(_used), EnhancedPacket);
        block.Add(0u); // the first interface of the section
        block.AddTime(nanosecondsSinceEpoch);
        block.Add((uint)kept.Length);
        block.Add((uint)frame.Length);
        block.Add(kept);
        block.AddOption(PacketOption.Flags, (uint)direction | (ReceptionType(frame) << 2));
        Append(block.End());
        Frames++;
    }

    /// <summary>Writes what was gathered to the stream, so that a reader sees it now.</summary>
    public void Flush()
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
    /// <param name="received">Frames that the port received.</param>
    /// <param name="dropped">Frames that it dropped because it had no buffer; null when unknown.</param>
    public void Finish(ulong start, ulong end, long received, long? dropped = null)
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
    public void Dispose()
    {
        if (_used > 0)
            Flush();
        _isFinished = true;
    }

    private void WriteSection(string application)
    {
        PcapngBlock block = new(_buffer.AsSpan(_used), SectionHeader);
        block.Add(ByteOrderMagic);
        block.Add((ushort)1); // version 1.0
        block.Add((ushort)0);
        block.Add(ulong.MaxValue); // its length is not known ahead
        block.AddOption(SectionOption.OperatingSystem, Text(Environment.OSVersion.VersionString));
        block.AddOption(SectionOption.Application, Text(application));
        Append(block.End());
    }

    private void WriteInterface()
    {
        Span<byte> address = stackalloc byte[MacAddress.Bytes];
        _source.Address.Write(address);
        PcapngBlock block = new(_buffer.AsSpan(_used), InterfaceDescription);
        block.Add(Ethernet);
        block.Add((ushort)0);
        block.Add((uint)_source.SnapLengthBytes);
        block.AddOption(InterfaceOption.Name, Text(_source.Name));
        if (_source.Description is { } description)
            block.AddOption(InterfaceOption.Description, Text(description));
        block.AddOption(InterfaceOption.MacAddress, address);
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

    /// <summary>Bits 4:2 of <c>epb_flags</c>: 1 to one station, 2 to a group, 3 to all, 4 to another station.</summary>
    private uint ReceptionType(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < MacAddress.Bytes)
            return 0;
        MacAddress to = MacAddress.Read(frame);
        if (to.IsGroup)
            return to == MacAddress.Broadcast ? 3u : 2u;
        return _source.IsPromiscuous && to != _source.Address ? 4u : 1u;
    }

    private static class SectionOption
    {
        internal const ushort OperatingSystem = 3, Application = 4;
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
