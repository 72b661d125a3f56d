using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Dma;

/// <summary>Accesses under way to memory that only its owner can reach, so that an unmap can wait for them.</summary>
/// <remarks>The wait is bounded: an owner may send its unmap before it answers, and the thread that unmaps may be the one that
/// would receive the answer. The owner itself carries out such an access, so the owner decides when it happens.</remarks>
internal sealed class OwnerAccesses
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(250);

    /// <summary>How many accesses this thread is inside of: it must not wait for itself.</summary>
    [ThreadStatic]
    private static int _depth;

    private readonly object _lock = new();
    private readonly List<(ulong Start, ulong Last)> _underWay = [];

    /// <summary>How many accesses are under way.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
                return _underWay.Count;
        }
    }

    internal void Enter(ulong start, ulong last)
    {
        lock (_lock)
            _underWay.Add((start, last));
        _depth++;
    }

    internal void Exit(ulong start, ulong last)
    {
        _depth--;
        lock (_lock)
        {
            _underWay.Remove((start, last));
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Waits until no access to a range is under way, or until the timeout.</summary>
    internal void WaitOutside(ulong start, ulong last)
    {
        if (_depth > 0)
            return;
        Deadline end = new(LongestWait);
        lock (_lock)
        {
            while (IsBusy(start, last))
            {
                if (end.HasPassed)
                    return;
                Monitor.Wait(_lock, end.Left);
            }
        }
    }

    private bool IsBusy(ulong start, ulong last)
    {
        foreach ((ulong otherStart, ulong otherLast) in _underWay)
        {
            if (otherStart <= last && start <= otherLast)
                return true;
        }

        return false;
    }
}
