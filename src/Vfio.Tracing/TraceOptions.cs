namespace Vfio.Tracing;

/// <summary>What a trace keeps.</summary>
public sealed record TraceOptions
{
    /// <summary>How many events may wait to be written, 256 to 16777216; rounded up to a power of two. An event takes 64 bytes, made when
    /// the
    /// trace begins. Default: 131072.</summary>
    public int RingEvents { get; init; } = 1 << 17;

    /// <summary>How many bytes are kept of an access of more than 8 bytes, of a region or of memory. Default: none. At most a quarter of
    /// the
    /// ring is kept of one.</summary>
    public int MaxDataBytes { get; init; }

    /// <summary>Whether accesses of the device to memory are seen. The device then gets no memory that it could reach by itself: each
    /// access
    /// comes through the trace, also over a socket (DMA_READ, DMA_WRITE). A device of the kernel refuses such memory. Default:
    /// no.</summary>
    public bool SeesDma { get; init; }

    /// <summary>Whether of memory only sizes and hashes are kept, and no value. Equal data has equal hashes within one trace. Default:
    /// no.</summary>
    public bool RedactsDma { get; init; }

    /// <summary>Whether the user may map regions and ring doorbells. Accesses by mapping, and doorbells, are not seen. Default: no, so
    /// that each
    /// access is a call, and seen.</summary>
    public bool AllowMapping { get; init; }

    /// <summary>Whether interrupts are seen when they come. Each then goes through a thread of the trace, and comes some microseconds
    /// later.
    /// Default: yes.</summary>
    public bool SeesInterrupts { get; init; } = true;

    /// <summary>Which events are kept; null for all.</summary>
    public TraceFilter? Filter { get; init; }

    /// <summary>The event to begin with; null for the first.</summary>
    public TraceTrigger? Start { get; init; }

    /// <summary>The event to end with, counted from the begin; null for none.</summary>
    public TraceTrigger? Stop { get; init; }

    /// <summary>Whether only the last events are kept, in memory until the trace ends: how many, up to 16777216; 0 for all. Default: all.
    /// </summary>
    public int Last { get; init; }
}
