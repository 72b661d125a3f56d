using Vfio.Tracing.Format;

namespace Vfio.Tracing;

/// <summary>One event of a trace.</summary>
/// <remarks>What Number, Place, Length and Value are is said by <see cref="TraceEventKind"/>.</remarks>
public readonly record struct TraceEvent
{
    internal TraceEvent(in TraceRecord record, ReadOnlyMemory<byte> data, long index)
    {
        Kind = record.Kind;
        Time = TimeSpan.FromTicks((long)(record.Time / 100));
        Nanoseconds = record.Time;
        Session = record.Session;
        Thread = record.Thread;
        Number = record.Number;
        Length = record.Length;
        Place = record.Place;
        Value = record.Value;
        DurationNanoseconds = record.Duration;
        Error = (Errno)record.Error;
        IsRedacted = record.Flags.HasFlag(TraceRecordFlags.Redacted);
        Data = data;
        Index = index;
    }

    /// <summary>Its place in the trace, from 0.</summary>
    public long Index { get; }

    /// <summary>What.</summary>
    public TraceEventKind Kind { get; }

    /// <summary>When, since the trace began.</summary>
    public TimeSpan Time { get; }

    /// <summary>When, in nanoseconds since the trace began.</summary>
    public ulong Nanoseconds { get; }

    /// <summary>Which opening of a device, from 1.</summary>
    public int Session { get; }

    /// <summary>The thread, by a number of its own.</summary>
    public uint Thread { get; }

    /// <summary>The region, the kind of interrupt, or what else it is about.</summary>
    public uint Number { get; }

    /// <summary>Bytes accessed.</summary>
    public uint Length { get; }

    /// <summary>Offset in the region, address of memory, or vector.</summary>
    public ulong Place { get; }

    /// <summary>The value of an access of up to 8 bytes, as a little-endian number; a size, a count or a hash.</summary>
    public ulong Value { get; }

    /// <summary>How long a read took; 0 for others.</summary>
    public uint DurationNanoseconds { get; }

    /// <summary>Why it was refused; <see cref="Errno.None"/> when it was not.</summary>
    public Errno Error { get; }

    /// <summary>Whether its data is not kept: <see cref="Value"/> is a hash, equal within the trace for equal data.</summary>
    public bool IsRedacted { get; }

    /// <summary>The data that was kept of it; empty where <see cref="Value"/> is all.</summary>
    public ReadOnlyMemory<byte> Data { get; }

    /// <summary>The region, where it is an access.</summary>
    public RegionIndex Region => new(Number);

    /// <summary>The kind of interrupt, where it is about interrupts.</summary>
    public InterruptIndex Interrupt => new(Number);

    /// <summary>Whether the user's driver did it, and not the device or the trace.</summary>
    public bool IsOfUser => Kind is TraceEventKind.Read or TraceEventKind.Write or TraceEventKind.SetInterrupts or TraceEventKind.Map
        or TraceEventKind.Unmap or TraceEventKind.UnmapAll or TraceEventKind.Reset or TraceEventKind.SetMigrationState
        or TraceEventKind.ReadState or TraceEventKind.WriteState;
}
