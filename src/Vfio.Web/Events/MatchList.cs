namespace Vfio.Web.Events;

/// <summary>The numbers of the events that a filter keeps, found as far as there are events.</summary>
/// <remarks>Eight bytes for each. Any thread; one at a time works.</remarks>
/// <param name="filter">The filter.</param>
internal sealed class MatchList(EventFilter filter)
{
    private const int CheckEvery = 1 << 12;
    private readonly Lock _lock = new();
    private readonly List<long> _found = [];
    private long _scanned;

    /// <summary>Does something with the numbers, ascending, of the events in a span; they are not kept.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled; what was found is kept.</exception>
    internal TResult With<TResult>(in EventSpan events, Func<IMatches, TResult> use, CancellationToken cancellation = default)
    {
        if (filter.IsEmpty)
            return use(new AllOf(events.First, events.End));
        lock (_lock)
        {
            int gone = LowerBound(events.First);
            if (gone > _found.Count / 2)
            {
                _found.RemoveRange(0, gone);
                gone = 0;
            }

            for (_scanned = Math.Max(_scanned, events.First); _scanned < events.End; _scanned++)
            {
                if (_scanned % CheckEvery == 0)
                    cancellation.ThrowIfCancellationRequested();
                if (filter.Takes(events[_scanned]))
                    _found.Add(_scanned);
            }

            // Another thread may have found what is after this span.
            return use(new SomeOf(_found, gone, LowerBound(events.End) - gone));
        }
    }

    private int LowerBound(long index)
    {
        int at = _found.BinarySearch(index);
        return at < 0 ? ~at : at;
    }

    private readonly struct AllOf(long first, long end) : IMatches
    {
        public int Count => (int)(end - first);

        public long this[int position] => first + position;

        public int PositionOf(long index) => (int)Math.Clamp(index - first, 0, end - first);
    }

    private readonly struct SomeOf(List<long> found, int start, int count) : IMatches
    {
        public int Count => count;

        public long this[int position] => found[start + position];

        public int PositionOf(long index)
        {
            int at = found.BinarySearch(start, count, index, null);
            return (at < 0 ? ~at : at) - start;
        }
    }
}

/// <summary>Numbers of events, ascending.</summary>
internal interface IMatches
{
    /// <summary>How many.</summary>
    int Count { get; }

    /// <summary>One of them.</summary>
    long this[int position] { get; }

    /// <summary>The position of the first that is not smaller.</summary>
    int PositionOf(long index);
}
