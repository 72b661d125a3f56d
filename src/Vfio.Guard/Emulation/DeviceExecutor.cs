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
    private List<DeviceWork> _works = [];
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

    /// <summary>Abandons all work, queued and running. When this returns, no work accesses the bus, and none will. Only system calls, and
    /// accesses whose memory's owner does not answer, may still be under way; their results are dropped.</summary>
    /// <param name="slot">Where the device is attached; null when it never was.</param>
    internal void Abandon(IPciSlot? slot)
    {
        // Running work may add more work until it is abandoned itself.
        while (TakeAll() is { Count: > 0 } works)
        {
            foreach (DeviceWork work in works)
                work.MarkAbandoned();
            lock (_lock)
                Monitor.PulseAll(_lock);
            WaitOutside(works, slot);
        }
    }

    /// <summary>Abandons one piece of work, as <see cref="Abandon(IPciSlot?)"/> does.</summary>
    internal void Abandon(DeviceWork work, IPciSlot? slot)
    {
        lock (_lock)
            _works.Remove(work);
        work.MarkAbandoned();
        WaitOutside([work], slot);
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

    private static void WaitOutside(List<DeviceWork> works, IPciSlot? slot)
    {
        Deadline timeout = new(OwnerTimeout);
        SpinWait spin = default;
        while (works.Count(work => work.IsInsideElsewhere) is > 0 and int inside)
        {
            if (timeout.HasPassed && slot is not null && inside <= slot.AccessesAtOwner)
                return;
            spin.SpinOnce();
        }
    }

    private List<DeviceWork> TakeAll()
    {
        lock (_lock)
        {
            List<DeviceWork> all = _works;
            _works = [];
            _waiting.Clear();
            return all;
        }
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
