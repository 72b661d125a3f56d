using System.Diagnostics;
using System.Numerics;
using System.Security.Cryptography;
using Vfio.Native.Memory;
using Vfio.Tracing.Format;
using Vfio.Tracing.Recording;

namespace Vfio.Tracing;

/// <summary>A trace: what the devices in it do, in the order in which it was seen, on its way to a file.</summary>
/// <remarks>
/// <para>An event costs the device's thread a place in a ring that was made before; a thread of the trace writes it. Nothing waits for
/// that thread:
/// what comes faster than it can be written is dropped, and <see cref="Dropped"/> counts it. When the file cannot be written, the trace
/// ends
/// and the devices go on.</para>
/// <para>Any thread may use it. Dispose the devices before it.</para>
/// </remarks>
public sealed class DeviceTrace : IDisposable
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly TraceRing _ring;
    private readonly TraceDrain _drain;
    private readonly byte[]? _hashKey;
    private readonly int _maxData;

    // Null also where a trigger has to see what is not kept.
    private readonly TraceFilter? _filter;
    private int _sessions;

    /// <summary>Begins a trace.</summary>
    /// <param name="stream">Where to write it; owned.</param>
    /// <param name="options">What to keep; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number of the options is out of its range.</exception>
    public DeviceTrace(Stream stream, TraceOptions? options = null)
        : this(ToStream(stream), options ?? new TraceOptions())
    {
    }

    /// <summary>Begins a trace.</summary>
    /// <param name="sink">Makes what takes the events, from the time in nanoseconds since 1970-01-01 UTC at which the trace began.</param>
    /// <param name="options">What to keep.</param>
    internal DeviceTrace(Func<ulong, ITraceSink> sink, TraceOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.RingEvents, TraceRing.MinRecords, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.RingEvents, TraceRing.MaxRecords, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaxDataBytes, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.Last, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Last, TraceRing.MaxRecords, nameof(options));
        Options = options;
        _ring = new TraceRing((int)BitOperations.RoundUpToPowerOf2((uint)options.RingEvents));
        _maxData = Math.Min(options.MaxDataBytes, _ring.MaxPayloadBytes);

        // Never written down: what is hashed with it can be compared within this trace, and not guessed.
        _hashKey = options.RedactsDma ? RandomNumberGenerator.GetBytes(32) : null;
        ulong since1970 = (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
        ITraceSink last = sink(since1970);
        if (options.Last > 0)
            last = new LastEvents(last, options.Last);
        if (options.Start is not null || options.Stop is not null)
            last = new TriggeredEvents(last, options.Start, options.Stop, options.Filter);
        else
            _filter = options.Filter;
        _drain = new TraceDrain(_ring, last, () => Now);
    }

    /// <summary>Events that were written, or are about to be.</summary>
    public long Events => _ring.Taken;

    /// <summary>Events that are missing, because they came faster than they could be written.</summary>
    public long Dropped => _ring.Dropped;

    /// <summary>Why the trace ends early, as where the disk is full; null while it does not.</summary>
    public Exception? Failure => _drain.Failure;

    /// <summary>Completes when nothing more is kept: <see cref="TraceOptions.Stop"/> came, the file cannot be written, or the trace was
    /// disposed.</summary>
    public Task Ended => _drain.Ended;

    /// <summary>What it keeps.</summary>
    internal TraceOptions Options { get; }

    /// <summary>The time in nanoseconds since it began.</summary>
    internal ulong Now => (ulong)(Stopwatch.GetTimestamp() - _start);

    /// <summary>Begins a trace in a file.</summary>
    /// <remarks>A process whose files may not get so large (RLIMIT_FSIZE) is ended by SIGXFSZ, unless it handles that signal; the trace
    /// ends then.</remarks>
    /// <param name="path">The file, which is made or replaced.</param>
    /// <param name="options">What to keep; null for the defaults.</param>
    /// <exception cref="VfioException">The file cannot be made.</exception>
    public static DeviceTrace ToFile(string path, TraceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        try
        {
            return new DeviceTrace(new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0), options);
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new VfioException("create", path, Vfio.Native.Errors.FileErrors.ErrnoOf(refusal), "choose another place for the trace");
        }
    }

    /// <summary>Writes what is there by now, and ends.</summary>
    public void Dispose() => _drain.Dispose();

    /// <summary>The number of a new opening of a device; numbers begin again after 65535.</summary>
    internal ushort NextSession() => (ushort)(((Interlocked.Increment(ref _sessions) - 1) % ushort.MaxValue) + 1);

    private static ulong Hash(byte[] key, ReadOnlySpan<byte> data)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(key, data, hash);
        return Blittable.Read<ulong>(hash);
    }

    private static Func<ulong, ITraceSink> ToStream(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return start => new TraceFileWriter(stream, start);
    }

    /// <summary>Whether an event is looked at further.</summary>
    internal bool Takes(in TraceRecord record) => _filter is null || _filter.Takes(record);

    /// <summary>Records an event without data.</summary>
    internal void Add(ref TraceRecord record)
    {
        record.Thread = (uint)Environment.CurrentManagedThreadId;
        if (Takes(record))
            _ring.Add(ref record, default);
    }

    /// <summary>Records an access with its data, which is a value where that is short, and kept as far as the options say.</summary>
    internal void Add(ref TraceRecord record, ReadOnlySpan<byte> data, bool isMemory = false)
    {
        record.Length = (uint)data.Length;
        ReadOnlySpan<byte> kept = default;
        if (isMemory && _hashKey is not null)
        {
            record.Value = Hash(_hashKey, data);
            record.Flags |= TraceRecordFlags.Redacted;
        }
        else if (data.Length <= sizeof(ulong))
        {
            ulong value = 0;
            data.CopyTo(Blittable.AsBytes(ref value));
            record.Value = value;
        }
        else
        {
            kept = data[..Math.Min(data.Length, _maxData)];
        }

        record.Thread = (uint)Environment.CurrentManagedThreadId;
        if (Takes(record))
            _ring.Add(ref record, kept);
    }

    /// <summary>Records an event with data that is kept whatever the options say: it describes a session.</summary>
    internal void AddWhole(ref TraceRecord record, ReadOnlySpan<byte> data)
    {
        record.Length = (uint)data.Length;
        record.Thread = (uint)Environment.CurrentManagedThreadId;
        _ring.Add(ref record, data[..Math.Min(data.Length, _ring.MaxPayloadBytes)]);
    }
}
