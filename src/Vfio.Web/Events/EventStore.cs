using Vfio.Tracing;
using Vfio.Tracing.Format;

namespace Vfio.Web.Events;

/// <summary>The last events of a trace, in bounded memory.</summary>
/// <remarks>One thread adds; any number read at the same time, without holding it up: what they read does not change.</remarks>
internal sealed class EventStore : ITraceSink
{
    private const int ChunkEvents = 1 << 12, MaxPayload = 256;
    private readonly int _mostChunks;
    private readonly Action<TraceEvent> _added;
    private readonly Lock _lock = new();

    // Replaced as a whole, and never changed: a reader keeps what it has.
    private EventChunk[] _chunks = [];
    private long _end;

    /// <summary>Makes an empty one.</summary>
    /// <param name="keep">How many events are kept, at least.</param>
    /// <param name="added">Called with each event, with all of its data.</param>
    internal EventStore(int keep, Action<TraceEvent> added)
    {
        _mostChunks = Math.Max(1, (keep + ChunkEvents - 1) / ChunkEvents) + 1;
        _added = added;
    }

    /// <summary>What is kept now.</summary>
    internal EventSpan Events
    {
        get
        {
            lock (_lock)
                return new EventSpan(_chunks, _chunks.Length == 0 ? _end : _chunks[0].First, _end);
        }
    }

    /// <summary>How many events are missing because the trace could not keep up.</summary>
    internal long Lost { get; private set; }

    /// <inheritdoc/>
    public void Write(in TraceRecord record, ReadOnlySpan<byte> payload) =>
        Add(record, payload[..(int)Math.Min((uint)payload.Length, record.Length)].ToArray());

    /// <inheritdoc/>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    /// <summary>Adds an event of a file.</summary>
    internal void Add(in TraceEvent one) => Add(
        new TraceRecord
        {
            Kind = one.Kind,
            Time = one.Nanoseconds,
            Session = (ushort)one.Session,
            Thread = one.Thread,
            Number = one.Number,
            Length = one.Length,
            Place = one.Place,
            Value = one.Value,
            Duration = one.DurationNanoseconds,
            Error = (ushort)one.Error,
            Flags = one.IsRedacted ? TraceRecordFlags.Redacted : TraceRecordFlags.None,
        },
        one.Data);

    private void Add(in TraceRecord record, ReadOnlyMemory<byte> data)
    {
        if (record.Kind == TraceEventKind.Lost)
            Lost += (long)Math.Min(record.Value, long.MaxValue / 2);
        if (_end % ChunkEvents == 0)
            AddChunk();
        EventChunk chunk = _chunks[^1];
        int at = (int)(_end - chunk.First);
        chunk.Records[at] = record;
        if (!data.IsEmpty)
            chunk.SetData(at, data[..Math.Min(data.Length, MaxPayload)].ToArray());
        long index = _end;
        lock (_lock)
            _end++;
        _added(new TraceEvent(record, data, index));
    }

    private void AddChunk()
    {
        EventChunk[] chunks = [.. _chunks.Skip(Math.Max(0, _chunks.Length + 1 - _mostChunks)), new EventChunk(_end, ChunkEvents)];
        lock (_lock)
            _chunks = chunks;
    }
}

/// <summary>Some thousand events.</summary>
/// <param name="first">The number of the first.</param>
/// <param name="count">How many there is room for.</param>
internal sealed class EventChunk(long first, int count)
{
    private readonly Dictionary<int, byte[]> _data = [];

    internal long First => first;

    internal TraceRecord[] Records { get; } = new TraceRecord[count];

    internal void SetData(int at, byte[] data)
    {
        lock (_data)
            _data[at] = data;
    }

    internal byte[] DataOf(int at)
    {
        lock (_data)
            return _data.GetValueOrDefault(at, []);
    }
}

/// <summary>Events at one moment; they do not change.</summary>
/// <param name="chunks">The chunks.</param>
/// <param name="first">The number of the first event.</param>
/// <param name="end">The number after the last.</param>
internal readonly struct EventSpan(EventChunk[] chunks, long first, long end)
{
    /// <summary>The number of the first event.</summary>
    internal long First => first;

    /// <summary>The number after the last.</summary>
    internal long End => end;

    /// <summary>An event's record.</summary>
    internal ref readonly TraceRecord this[long index]
    {
        get
        {
            EventChunk chunk = ChunkOf(index);
            return ref chunk.Records[index - chunk.First];
        }
    }

    /// <summary>An event with the first bytes of its data.</summary>
    internal TraceEvent EventAt(long index)
    {
        EventChunk chunk = ChunkOf(index);
        int at = (int)(index - chunk.First);
        return new TraceEvent(chunk.Records[at], chunk.DataOf(at), index);
    }

    /// <summary>The number of the first event at or after a time.</summary>
    internal long FindTime(ulong time)
    {
        long low = first, high = end;
        while (low < high)
        {
            long middle = low + ((high - low) / 2);
            if (this[middle].Time < time)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private EventChunk ChunkOf(long index)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(index, first);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, end);
        return chunks[(index - first) / chunks[0].Records.Length];
    }
}
