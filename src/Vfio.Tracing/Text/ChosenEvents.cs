namespace Vfio.Tracing.Text;

/// <summary>The events of a file that a user asks for.</summary>
internal static class ChosenEvents
{
    /// <summary>Chooses by filter, begin, end and number; what describes a session is always there.</summary>
    internal static IEnumerable<TraceEvent> Of(IEnumerable<TraceEvent> events, TraceOptions options)
    {
        IEnumerable<TraceEvent> chosen = Between(events, options);
        return options.Last > 0 ? Last(chosen, options.Last) : chosen;
    }

    private static bool Describes(in TraceEvent one) => one.Kind is >= TraceEventKind.Open and <= TraceEventKind.AddressRange;

    private static IEnumerable<TraceEvent> Between(IEnumerable<TraceEvent> events, TraceOptions options)
    {
        bool isStarted = options.Start is null, isStopped = false;
        ulong start = 0;
        long count = 0;
        foreach (TraceEvent one in events)
        {
            if (Describes(one))
            {
                yield return one;
                continue;
            }

            if (one.Kind == TraceEventKind.Lost)
            {
                if (!isStopped)
                    yield return one;
                continue;
            }

            // What is not kept may be the trigger, and is not counted.
            bool isKept = options.Filter is null || options.Filter.Takes(one);
            int number = isKept ? 1 : 0;
            count += number;
            if (!isStarted && options.Start!.IsMetBy(one, count, one.Nanoseconds))
                (isStarted, start, count) = (true, one.Nanoseconds, number);
            if (!isStarted || isStopped)
                continue;
            if (isKept)
                yield return one;
            isStopped = options.Stop is not null && options.Stop.IsMetBy(one, count, one.Nanoseconds - Math.Min(one.Nanoseconds, start));
        }
    }

    private static IEnumerable<TraceEvent> Last(IEnumerable<TraceEvent> events, int count)
    {
        Queue<TraceEvent> last = [];
        foreach (TraceEvent one in events)
        {
            if (Describes(one))
            {
                yield return one;
                continue;
            }

            last.Enqueue(one);
            if (last.Count > count)
                last.Dequeue();
        }

        foreach (TraceEvent one in last)
            yield return one;
    }
}
