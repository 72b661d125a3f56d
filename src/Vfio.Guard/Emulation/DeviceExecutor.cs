using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Emulation;

/// <summary>The threads of one device: gives each <see cref="DeviceWork"/> one, abandons all work at a reset, and holds it while the
/// device is stopped.</summary>
/// <remarks>A thread that is stuck in a system call cannot be interrupted. A reset leaves it behind: it ends when the call returns, and
/// counts until then, so that resets in a row do not add threads without end.</remarks>
internal sealed class DeviceExecutor
{
    /// <summary>Most threads of a device, those left behind included; work beyond them waits for one to end.</summary>
    internal const int MaxThreads = 64;

    private const int StackBytes = 256 << 10;

    /// <summary>How long an abandoned access to memory that its owner is asked for is waited for: an owner that answers does so sooner,
    /// one that does not must not hold a reset.</summary>
    private static readonly TimeSpan OwnerTimeout = TimeSpan.FromMilliseconds(30);

    private readonly object _lock = new();
    private readonly Queue<DeviceWork> _waiting = [];
    private List<DeviceWork> _works = [];
    private volatile bool _isPaused;
    private bool _isEnded;
    private int _threads;

    /// <summary>Whether the device stands still: work returns at its next chunk.</summary>
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

    /// <summary>Gives work its thread, or a place in the queue for one.</summary>
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

    /// <summary>Abandons all work, queued and running. When this returns none of it is at the bus or will be again; only accesses whose
    /// memory's owner does not answer, and system calls, may still be under way, and their results are dropped.</summary>
    /// <param name="slot">Where the device is attached; null when it never was.</param>
    internal void Abandon(IPciSlot? slot)
    {
        // Work that runs may make more work until it is abandoned itself.
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

    /// <summary>Abandons all work, and what is added later.</summary>
    internal void End(IPciSlot? slot)
    {
        lock (_lock)
            _isEnded = true;
        Abandon(slot);
    }

    /// <summary>Holds all work: when this returns none of it runs. It goes on after <see cref="Resume"/>.</summary>
    internal void Pause()
    {
        _isPaused = true;
        Interlocked.MemoryBarrier();
        DeviceWork[] works;
        lock (_lock)
            works = [.. _works];
        SpinWait spin = default;
        while (works.Any(work => work.IsRunningElsewhere))
            spin.SpinOnce();
    }

    /// <summary>Lets work go on.</summary>
    internal void Resume()
    {
        lock (_lock)
        {
            _isPaused = false;
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Called by the thread of work: returns when the device does not stand still any more, or the work is abandoned.</summary>
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
