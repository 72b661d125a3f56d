using Vfio.Native.Memory;
using Vfio.Tracing.Format;

namespace Vfio.Tracing;

/// <summary>Reads the events of a trace file, one after the other.</summary>
/// <remarks>A file may come from anybody: whatever its bytes are, it is read in bounded memory, and ends with an exception, or earlier
/// than it
/// should, at worst. One thread at a time.</remarks>
public sealed class TraceReader : IDisposable
{
    private const int MaxHeaderBytes = 4096;
    private readonly Stream _stream;
    private readonly string _name;
    private readonly byte[] _record = new byte[TraceRecord.Bytes];
    private long _index;

    /// <summary>Reads the head of a trace.</summary>
    /// <param name="stream">The trace; owned.</param>
    /// <param name="name">What it is called in errors.</param>
    /// <exception cref="VfioException">EINVAL: it is no trace; EOPNOTSUPP: it is of a newer version.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public TraceReader(Stream stream, string name)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        _stream = stream;
        _name = name;
        byte[] bytes = new byte[TraceHeader.Bytes];
        if (_stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length
            || Blittable.Read<TraceHeader>(bytes) is not { Magic: TraceHeader.MagicValue } header)
        {
            throw Refusal(Errno.InvalidArgument, "it is no trace of 'vfio trace' or 'vfio record'");
        }

        if (header.Version is 0 or > TraceHeader.CurrentVersion)
            throw Refusal(Errno.NotSupported, $"it has version {header.Version} of the format, and this program reads up to {TraceHeader.CurrentVersion}: use a newer one");
        if (header.RecordBytes != TraceRecord.Bytes || header.HeaderBytes is < TraceHeader.Bytes or > MaxHeaderBytes)
            throw Refusal(Errno.InvalidArgument, "its header contradicts its version");
        int rest = (int)header.HeaderBytes - TraceHeader.Bytes;
        if (_stream.ReadAtLeast(new byte[rest], rest, throwOnEndOfStream: false) < rest)
            throw Refusal(Errno.InvalidArgument, "it ends within its header");
        StartNanoseconds = header.Start;
    }

    /// <summary>When the trace began, in nanoseconds since 1970-01-01 UTC.</summary>
    public ulong StartNanoseconds { get; }

    /// <summary>Whether the file ended within an event, as where the program that wrote it was killed; known at the end.</summary>
    public bool IsCut { get; private set; }

    /// <summary>Opens a trace file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="VfioException">EINVAL: it is no trace; EOPNOTSUPP: it is of a newer version; else why it cannot be
    /// opened.</exception>
    public static TraceReader Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        FileStream stream;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1 << 16);
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new VfioException("open", path, Vfio.Native.Errors.FileErrors.ErrnoOf(refusal), "check the path of the trace");
        }

        try
        {
            return new TraceReader(stream, path);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads the next event.</summary>
    /// <param name="next">The event.</param>
    /// <returns>False at the end.</returns>
    /// <exception cref="IOException">It cannot be read.</exception>
    public bool TryRead(out TraceEvent next)
    {
        next = default;
        int count = _stream.ReadAtLeast(_record, _record.Length, throwOnEndOfStream: false);
        if (count < _record.Length)
        {
            IsCut |= count > 0;
            return false;
        }

        TraceRecord record = Blittable.Read<TraceRecord>(_record);
        byte[] payload = [];
        if (record.PayloadRecords > 0)
        {
            payload = new byte[record.PayloadRecords * TraceRecord.Bytes];
            if (_stream.ReadAtLeast(payload, payload.Length, throwOnEndOfStream: false) < payload.Length)
            {
                IsCut = true;
                return false;
            }
        }

        next = new TraceEvent(record, payload.AsMemory(0, (int)Math.Min((uint)payload.Length, record.Length)), _index++);
        return true;
    }

    /// <summary>Reads all events from here on.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public IEnumerable<TraceEvent> ReadAll()
    {
        while (TryRead(out TraceEvent next))
            yield return next;
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private VfioException Refusal(Errno errno, string why) => new("reading the trace", _name, errno, why);
}
