using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Emulation;

/// <summary>The threads of one device: runs each <see cref="DeviceWork"/> on a thread, abandons all work at a reset, and pauses it while
/// the device is stopped.</summary>
/// <remarks>A thread that is stuck in a system call cannot be interrupted. A reset leaves it behind: it ends when the call returns, and
/// counts until then, so that repeated resets do not add threads without end.</remarks>
internal sealed class DeviceExecutor
{
    /// <summary>Most threads of a device, those left behind included; work beyond them waits for one to end.</summary>
    internal const int MaxThreads = 64;

    private const int StackBytes = 256 << 10;

    /// <summary>How long a reset waits for an access to memory that only its owner can reach. An owner that answers does so sooner; one
    /// that
    /// does not must not block the reset.</summary>
    private static readonly TimeSpan OwnerTimeout = TimeSpan.FromMilliseconds(30);

    /// <summary>How long a stop waits for work to return. Work that keeps to its rules does so in a millisecond; the rest is for a busy
    /// machine. Work that waits for the lock under which the stop is made would never return.</summary>
    private static readonly TimeSpan PauseTimeout = TimeSpan.FromSeconds(2);

    private readonly object _lock = new();
    private readonly Queue<DeviceWork> _waiting = [];
    private readonly List<DeviceWork> _works = [];

    // Abandoned, and waited for: whoever abandons meanwhile waits for them too.
    private readonly List<DeviceWork> _ending = [];
    private volatile bool _isPaused;
    private bool _isEnded;
    private int _threads;

    /// <summary>Whether the device is stopped: work returns at its next chunk.</summary>
    internal bool IsPaused => _isPaused;

    /// <summary>How many threads there are now, those left behind included.</summary>
    internal int ThreadCount
    {
        get
        {
            lock (_lock)
                return _threads;
        }
    }

    internal void Add(DeviceWork work)
    {
        lock (_lock)
        {
            if (_isEnded)
                work.MarkAbandoned();
            else
                _works.Add(work);
        }
    }

    /// <summary>Starts a thread for work, or queues the work until one ends.</summary>
    internal void StartThread(DeviceWork work)
    {
        lock (_lock)
        {
            if (work.IsAbandoned)
                return;
            if (_threads == MaxThreads)
            {
                _waiting.Enqueue(work);
                return;
            }

            _threads++;
        }

        Begin(work);
    }

    /// <summary>Abandons all work, queued and running. When this returns, no work accesses the bus, and none will, whoever abandoned it. Only
    /// system calls, and accesses whose memory's owner does not answer, may still be under way; their results are dropped.</summary>
    /// <param name="slot">Where the device is attached; null when it never was.</param>
    internal void Abandon(IPciSlot? slot) => Abandon(slot, new Deadline(OwnerTimeout));

    /// <summary>Abandons all work of several functions, as <see cref="Abandon(IPciSlot?)"/> does, and waits for their owners no longer than for
    /// one.</summary>
    internal static void Abandon(IReadOnlyList<EmulatedFunction> functions)
    {
        foreach (EmulatedFunction function in functions)
            function.Executor.MarkAll();
        Deadline timeout = new(OwnerTimeout);
        foreach (EmulatedFunction function in functions)
            function.Executor.Abandon(function.SlotOrNull, timeout);
    }

    /// <summary>Abandons one piece of work, as <see cref="Abandon(IPciSlot?)"/> does.</summary>
    internal void Abandon(DeviceWork work, IPciSlot? slot)
    {
        lock (_lock)
        {
            _works.Remove(work);
            _ending.Add(work);
            work.MarkAbandoned();
        }

        AwaitEnd([work], slot, new Deadline(OwnerTimeout));
    }

    /// <summary>Abandons all work, and all that is added later.</summary>
    internal void End(IPciSlot? slot)
    {
        lock (_lock)
            _isEnded = true;
        Abandon(slot);
    }

    /// <summary>Pauses all work: when this returns true none of it runs. It continues after <see cref="Resume"/>.</summary>
    /// <returns>False when some of it did not return in time: all of it goes on.</returns>
    internal bool TryPause()
    {
        _isPaused = true;
        Interlocked.MemoryBarrier();
        DeviceWork[] works;
        lock (_lock)
            works = [.. _works];
        Deadline timeout = new(PauseTimeout);
        SpinWait spin = default;
        while (works.Any(work => work.IsRunningElsewhere))
        {
            if (timeout.HasPassed)
            {
                Resume();
                return false;
            }

            spin.SpinOnce();
        }

        return true;
    }

    /// <summary>Lets work continue.</summary>
    internal void Resume()
    {
        lock (_lock)
        {
            _isPaused = false;
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Called by the thread of work: returns when the device is not stopped any more, or the work is abandoned.</summary>
    internal void WaitForResume(DeviceWork work)
    {
        lock (_lock)
        {
            while (_isPaused && !work.IsAbandoned)
                Monitor.Wait(_lock);
        }
    }

    private void Abandon(IPciSlot? slot, Deadline timeout)
    {
        // Running work may add more work until it is abandoned itself.
        while (MarkAll() is { Length: > 0 } works)
            AwaitEnd(works, slot, timeout);
    }

    // Returns all that has not ended. Marked under the lock: work that nobody has marked is never out of both lists.
    private DeviceWork[] MarkAll()
    {
        lock (_lock)
        {
            foreach (DeviceWork work in _works)
                work.MarkAbandoned();
            _ending.AddRange(_works);
            _works.Clear();
            _waiting.Clear();
            Monitor.PulseAll(_lock);
            return [.. _ending];
        }
    }

    // Waits until work is outside, or its owner's time is over.
    private void AwaitEnd(DeviceWork[] works, IPciSlot? slot, Deadline timeout)
    {
        SpinWait spin = default;
        while (works.Count(work => work.IsInsideElsewhere) is > 0 and int inside)
        {
            if (timeout.HasPassed && slot is not null && inside <= slot.AccessesAtOwner)
                break;
            spin.SpinOnce();
        }

        lock (_lock)
            _ending.RemoveAll(work => works.Contains(work));
    }

    private void Begin(DeviceWork work)
    {
        Thread thread = new(() => Run(work), StackBytes) { IsBackground = true, Name = work.Name };
        try
        {
            thread.UnsafeStart();
        }
        catch
        {
            lock (_lock)
                _threads--;
            throw;
        }
    }

    private void Run(DeviceWork work)
    {
        work.RunUntilAbandoned();
        DeviceWork? next = null;
        lock (_lock)
        {
            while (next is null && _waiting.TryDequeue(out DeviceWork? waiting))
                next = waiting.IsAbandoned ? null : waiting;
            if (next is null)
                _threads--;
        }

        if (next is not null)
            Begin(next);
    }
}
