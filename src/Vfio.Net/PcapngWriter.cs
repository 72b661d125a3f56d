using Vfio.Captures;
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
    private readonly PcapngInterface _source;
    private readonly PcapngFile _file;

    /// <summary>Starts a capture; nothing is written before the first <see cref="Flush"/>.</summary>
    /// <param name="stream">The stream to write to; the caller owns it. It is never read, and its position is never set.</param>
    /// <param name="source">The port that the frames are of.</param>
    /// <param name="application">The name of the program, for the section header.</param>
    /// <exception cref="ArgumentException">The snap length is not 1 to 262144, or a text is longer than 1000 bytes.</exception>
    public PcapngWriter(Stream stream, PcapngInterface source, string application)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(source);
        byte[] address = new byte[MacAddress.Bytes];
        source.Address.Write(address);
        _source = source;
        _file = new PcapngFile(
            stream,
            new PcapngSource(PcapngSource.Ethernet, source.Name)
            {
                Description = source.Description,
                SnapLengthBytes = source.SnapLengthBytes,
                MacAddress = address,
            },
            application);
    }

    /// <summary>Frames written.</summary>
    public long Frames => _file.Packets;

    /// <summary>Bytes written so far, with what is still gathered in memory.</summary>
    public long WrittenBytes => _file.WrittenBytes;

    /// <summary>Writes a frame that was received.</summary>
    /// <param name="frame">Its bytes from the destination address on, at most the snap length of them are kept.</param>
    /// <param name="nanosecondsSinceEpoch">When: since 1970-01-01 UTC.</param>
    public void Write(ReadOnlySpan<byte> frame, ulong nanosecondsSinceEpoch) =>
        Write(frame, nanosecondsSinceEpoch, PacketDirection.Inbound);

    /// <summary>Writes a frame.</summary>
    /// <param name="frame">Its bytes from the destination address on, at most the snap length of them are kept.</param>
    /// <param name="nanosecondsSinceEpoch">When: since 1970-01-01 UTC.</param>
    /// <param name="direction">Which way it went.</param>
    internal void Write(ReadOnlySpan<byte> frame, ulong nanosecondsSinceEpoch, PacketDirection direction) =>
        _file.Write(frame, frame.Length, nanosecondsSinceEpoch, (uint)direction | (ReceptionType(frame) << 2));

    /// <summary>Writes what was gathered to the stream, so that a reader sees it now.</summary>
    public void Flush() => _file.Flush();

    /// <summary>Writes the statistics and ends the capture.</summary>
    /// <param name="start">When it began, in nanoseconds since 1970.</param>
    /// <param name="end">When it ended.</param>
    /// <param name="received">Frames that the port received.</param>
    /// <param name="dropped">Frames that it dropped because it had no buffer; null when unknown.</param>
    public void Finish(ulong start, ulong end, long received, long? dropped = null) => _file.Finish(start, end, received, dropped);

    /// <summary>Writes what is gathered; a capture that was not finished ends without statistics.</summary>
    public void Dispose() => _file.End();

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
}
