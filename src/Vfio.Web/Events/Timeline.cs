using Vfio.Tracing;
using Vfio.Tracing.Format;
using Vfio.Tracing.Text;

namespace Vfio.Web.Events;

/// <summary>Counts events of a span, between two times, in a number of buckets.</summary>
internal delegate Timeline TimelineMaker(
    EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets, CancellationToken cancellation = default);

/// <summary>Events counted by time and lane.</summary>
internal sealed class Timeline
{
    private const int MostLanes = 80, MostMarks = 400, CheckEvery = 1 << 12;

    // Lanes are in this order.
    private const int Vector = 0, Region = 1, Dma = 3, Irq = 4, SetIrq = 5, Mapping = 6, Other = 8, Refused = 9;

    // By key: few, and looked at for each event.
    private readonly List<((int Rank, uint Number, ulong Place) Key, TimelineLane Lane)> _lanes = [];
    private readonly int _buckets;

    private Timeline(ulong start, ulong end, int buckets) => (Start, End, _buckets) = (start, end, buckets);

    /// <summary>The time of the first bucket, in nanoseconds since the trace began.</summary>
    internal ulong Start { get; }

    /// <summary>The time after the last bucket.</summary>
    internal ulong End { get; }

    /// <summary>The lanes, in their order.</summary>
    internal IEnumerable<TimelineLane> Lanes => _lanes.Select(one => one.Lane);

    /// <summary>Counts events by what they are about: regions, interrupts, DMA, mappings, refusals.</summary>
    internal static Timeline OfAll(
        EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets, CancellationToken cancellation = default) =>
        Make(events, matches, from, to, buckets, static (line, events, index) =>
        {
            ref readonly TraceRecord record = ref events[index];
            int rank = record.Kind switch
            {
                _ when record.Error != 0 => Refused,
                TraceEventKind.Read or TraceEventKind.Write => Region,
                TraceEventKind.DmaRead or TraceEventKind.DmaWrite => Dma,
                TraceEventKind.Interrupt => Irq,
                TraceEventKind.SetInterrupts => SetIrq,
                TraceEventKind.Map or TraceEventKind.Unmap or TraceEventKind.UnmapAll => Mapping,
                _ => Other,
            };
            (int, uint, ulong) key = (rank, rank == Region ? record.Number : 0, 0);
            int at = line.PositionOf(key);
            if (line.HasOrAdd(key, at))
                line._lanes[at].Lane.Count(line.BucketOf(record.Time));
        }, cancellation);

    /// <summary>Counts interrupts by vector, and marks what the driver asked for.</summary>
    internal static Timeline OfInterrupts(
        EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets, CancellationToken cancellation = default) =>
        Make(events, matches, from, to, buckets, static (line, events, index) =>
        {
            ref readonly TraceRecord record = ref events[index];
            if (record.Kind == TraceEventKind.Interrupt)
            {
                (int, uint, ulong) key = (Vector, record.Number, record.Place);
                int at = line.PositionOf(key);
                if (line.HasOrAdd(key, at))
                    line._lanes[at].Lane.Count(line.BucketOf(record.Time));
            }
            else if (record.Kind == TraceEventKind.SetInterrupts)
            {
                line.Mark(events, index);
            }
        }, cancellation);

    private static Timeline Make(
        EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets, Action<Timeline, EventSpan, long> add, CancellationToken cancellation)
    {
        ulong first = events.End > events.First ? events[events.First].Time : 0, last = events.End > events.First ? events[events.End - 1].Time : 0;
        ulong start = Math.Max(from ?? first, first), end = Math.Min(to ?? (last + 1), last + 1);
        Timeline line = new(start, Math.Max(end, start + 1), buckets);
        int position = matches.PositionOf(events.FindTime(start)), past = matches.PositionOf(events.FindTime(end));
        for (; position < past; position++)
        {
            if (position % CheckEvery == 0)
                cancellation.ThrowIfCancellationRequested();
            add(line, events, matches[position]);
        }

        return line;
    }

    private static string NameOf((int Rank, uint Number, ulong Place) key) => key.Rank switch
    {
        Vector => $"{new InterruptIndex(key.Number)} {key.Place}",
        Region => TraceText.NameOf(new RegionIndex(key.Number)),
        Dma => "dma",
        Irq => "irq",
        SetIrq => "set-irq",
        Mapping => "map",
        Refused => "refused",
        _ => "other",
    };

    // A trace may ask for any vectors in every event: text is only made for a lane that is new, or that takes the mark.
    private void Mark(EventSpan events, long index)
    {
        ref readonly TraceRecord record = ref events[index];
        ulong first = record.Place, last = first + Math.Min(Math.Clamp(record.Length, 1, MostLanes) - 1, ulong.MaxValue - first);
        string? what = null;
        int at = PositionOf((Vector, record.Number, first));
        for (ulong vector = first; ; vector++, at++)
        {
            if (!HasOrAdd((Vector, record.Number, vector), at))
            {
                // No lane is made any more: on with the next that there is.
                if (at >= _lanes.Count || _lanes[at].Key.CompareTo((Vector, record.Number, last)) > 0)
                    return;
                vector = _lanes[at].Key.Place;
            }

            TimelineLane lane = _lanes[at].Lane;
            if (lane.Marks.Count < MostMarks)
            {
                what ??= TraceText.What(events.EventAt(index), RegisterNames.None)[TraceText.NameOf(record.Kind).Length..].Trim();
                lane.Mark(BucketOf(record.Time), record.Time, what);
            }

            if (vector == last)
                return;
        }
    }

    // Times of different threads are not quite in order.
    private int BucketOf(ulong time) =>
        (int)UInt128.Min((UInt128)(time - Math.Min(Start, time)) * (uint)_buckets / (End - Start), (uint)_buckets - 1);

    /// <summary>Where a lane is, or would be.</summary>
    private int PositionOf((int Rank, uint Number, ulong Place) key)
    {
        int low = 0, high = _lanes.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_lanes[middle].Key.CompareTo(key) < 0)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private bool HasOrAdd((int Rank, uint Number, ulong Place) key, int at)
    {
        if (at < _lanes.Count && _lanes[at].Key == key)
            return true;
        if (_lanes.Count >= MostLanes)
            return false;
        _lanes.Insert(at, (key, new TimelineLane(NameOf(key), new int[_buckets])));
        return true;
    }
}

/// <summary>One row of a time line.</summary>
/// <param name="name">What it is about.</param>
/// <param name="counts">How many events there were, by bucket.</param>
internal sealed class TimelineLane(string name, int[] counts)
{
    private readonly List<(int Bucket, ulong Time, string What)> _marks = [];

    internal string Name => name;

    internal IReadOnlyList<int> Counts => counts;

    internal IReadOnlyList<(int Bucket, ulong Time, string What)> Marks => _marks;

    internal void Count(int bucket) => counts[bucket]++;

    internal void Mark(int bucket, ulong time, string what) => _marks.Add((bucket, time, what));
}
