using Vfio.Native.Memory;

namespace Vfio.Tracing.Format;

/// <summary>Writes a trace to a stream.</summary>
internal sealed class TraceFileWriter : ITraceSink
{
    private const int BufferBytes = 1 << 20;
    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _used;

    /// <summary>Begins a trace.</summary>
    /// <param name="stream">Where to; owned.</param>
    /// <param name="start">When the trace began, in nanoseconds since 1970-01-01 UTC.</param>
    internal TraceFileWriter(Stream stream, ulong start)
    {
        _stream = stream;
        Blittable.Write(_buffer, new TraceHeader
        {
            Magic = TraceHeader.MagicValue,
            Version = TraceHeader.CurrentVersion,
            HeaderBytes = TraceHeader.Bytes,
            RecordBytes = TraceRecord.Bytes,
            Start = start,
        });
        _used = TraceHeader.Bytes;
    }

    /// <inheritdoc/>
    public void Write(in TraceRecord record, ReadOnlySpan<byte> payload)
    {
        if (_used + TraceRecord.Bytes > BufferBytes)
            Drain();
        Blittable.Write(_buffer.AsSpan(_used), record);
        _used += TraceRecord.Bytes;
        while (!payload.IsEmpty)
        {
            if (_used == BufferBytes)
                Drain();
            int count = Math.Min(payload.Length, BufferBytes - _used);
            payload[..count].CopyTo(_buffer.AsSpan(_used));
            _used += count;
            payload = payload[count..];
        }
    }

    /// <inheritdoc/>
    public void Flush()
    {
        if (_used == 0)
            return;
        Drain();
        _stream.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void Drain()
    {
        // Not again after a failure: a part of it may have been written.
        int count = _used;
        _used = 0;
        try
        {
            _stream.Write(_buffer, 0, count);
        }
        catch (ArgumentOutOfRangeException)
        {
            // .NET's name for EFBIG: the process may not have files of this size, or the file system has none.
            throw new IOException("the file is too large", (int)Errno.FileTooLarge);
        }
    }
}
