namespace Vfio.Native;

/// <summary>Ends signals that would not end: to a descriptor that blocks, whose counter its giver filled.</summary>
/// <remarks>To ask before each signal whether it may block costs as much as the signal. So whoever signals such a descriptor only
/// notes that it does, and a look now and then finds the one that does not end, and takes its counter. From then on every signal of
/// this process asks first: a giver that does so holds one thread up, once, for two looks at most.</remarks>
internal static class StuckSignals
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly Lock Gate = new();
    private static readonly HashSet<EventFd> Watched = [];
    private static readonly Timer Looks = new(_ => Look());
    private static volatile bool _askFirst;

    /// <summary>Whether to ask before a signal to a descriptor that blocks.</summary>
    internal static bool AskFirst => _askFirst;

    /// <summary>Looks at an eventfd until <see cref="Forget"/>.</summary>
    internal static void Watch(EventFd signal)
    {
        lock (Gate)
        {
            if (Watched.Add(signal) && Watched.Count == 1)
                Looks.Change(Interval, Interval);
        }
    }

    /// <summary>Looks at it no more.</summary>
    internal static void Forget(EventFd signal)
    {
        lock (Gate)
        {
            if (Watched.Remove(signal) && Watched.Count == 0)
                Looks.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    private static void Look()
    {
        lock (Gate)
        {
            foreach (EventFd signal in Watched)
            {
                if (!signal.IsStuck())
                    continue;
                _askFirst = true;
                signal.Drain();
            }
        }
    }
}
