using Vfio.Tracing;
using Vfio.Tracing.Format;
using Vfio.Tracing.Text;

namespace Vfio.Web.Events;

/// <summary>Events counted by time and lane.</summary>
internal sealed class Timeline
{
    private const int MostLanes = 80, MostMarks = 400;
    private readonly SortedDictionary<(int Rank, uint Number, ulong Place), TimelineLane> _lanes = [];
    private readonly int _buckets;

    private Timeline(ulong start, ulong end, int buckets) => (Start, End, _buckets) = (start, end, buckets);

    /// <summary>The time of the first bucket, in nanoseconds since the trace began.</summary>
    internal ulong Start { get; }

    /// <summary>The time after the last bucket.</summary>
    internal ulong End { get; }

    /// <summary>The lanes, in their order.</summary>
    internal IEnumerable<TimelineLane> Lanes => _lanes.Values;

    /// <summary>Counts events by what they are about: regions, interrupts, DMA, mappings, refusals.</summary>
    internal static Timeline OfAll(EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets) =>
        Make(events, matches, from, to, buckets, static (line, events, index) =>
        {
            TraceRecord record = events[index];
            uint number = record.Number;
            (int rank, string name) = record.Kind switch
            {
                _ when record.Error != 0 => (9, "refused"),
                TraceEventKind.Read or TraceEventKind.Write => (1, TraceText.NameOf(new RegionIndex(number))),
                TraceEventKind.DmaRead or TraceEventKind.DmaWrite => (3, "dma"),
                TraceEventKind.Interrupt => (4, "irq"),
                TraceEventKind.SetInterrupts => (5, "set-irq"),
                TraceEventKind.Map or TraceEventKind.Unmap or TraceEventKind.UnmapAll => (6, "map"),
                _ => (8, "other"),
            };
            line.LaneOf(rank, rank == 1 ? number : 0, 0, name)?.Count(line.BucketOf(record.Time));
        });

    /// <summary>Counts interrupts by vector, and marks what the driver asked for.</summary>
    internal static Timeline OfInterrupts(EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets) =>
        Make(events, matches, from, to, buckets, static (line, events, index) =>
        {
            TraceRecord record = events[index];
            string kind = new InterruptIndex(record.Number).ToString();
            if (record.Kind == TraceEventKind.Interrupt)
            {
                line.LaneOf(0, record.Number, record.Place, $"{kind} {record.Place}")?.Count(line.BucketOf(record.Time));
            }
            else if (record.Kind == TraceEventKind.SetInterrupts)
            {
                string what = TraceText.What(events.EventAt(index), RegisterNames.None)[TraceText.NameOf(record.Kind).Length..].Trim();
                for (ulong i = 0; i < Math.Clamp(record.Length, 1, MostLanes); i++)
                    line.LaneOf(0, record.Number, record.Place + i, $"{kind} {record.Place + i}")?.Mark(line.BucketOf(record.Time), record.Time, what, MostMarks);
            }
        });

    private static Timeline Make(
        EventSpan events, IMatches matches, ulong? from, ulong? to, int buckets, Action<Timeline, EventSpan, long> add)
    {
        ulong first = events.End > events.First ? events[events.First].Time : 0, last = events.End > events.First ? events[events.End - 1].Time : 0;
        ulong start = Math.Max(from ?? first, first), end = Math.Min(to ?? (last + 1), last + 1);
        Timeline line = new(start, Math.Max(end, start + 1), buckets);
        int position = matches.PositionOf(events.FindTime(start)), past = matches.PositionOf(events.FindTime(end));
        for (; position < past; position++)
            add(line, events, matches[position]);
        return line;
    }

    // Times of different threads are not quite in order.
    private int BucketOf(ulong time) =>
        (int)UInt128.Min((UInt128)(time - Math.Min(Start, time)) * (uint)_buckets / (End - Start), (uint)_buckets - 1);

    private TimelineLane? LaneOf(int rank, uint number, ulong place, string name)
    {
        if (_lanes.TryGetValue((rank, number, place), out TimelineLane? lane))
            return lane;
        if (_lanes.Count >= MostLanes)
            return null;
        lane = new TimelineLane(name, new int[_buckets]);
        _lanes.Add((rank, number, place), lane);
        return lane;
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

    internal void Mark(int bucket, ulong time, string what, int most)
    {
        if (_marks.Count < most)
            _marks.Add((bucket, time, what));
    }
}
