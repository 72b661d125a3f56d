using Vfio.Native;

namespace Vfio.Guard;

/// <summary>Masks or unmasks a vector when somebody signals an eventfd. Its thread starts with the first eventfd.</summary>
/// <param name="name">The device, for the thread's name.</param>
/// <param name="setMasked">What is done.</param>
internal sealed class EventWatcher(string name, Action<InterruptIndex, int, bool> setMasked) : IDisposable
{
    private const int MaxEvents = Poll.MaxDescriptors - 1;
    private readonly Lock _gate = new();
    private readonly List<Watch> _watches = [];
    private EventFd? _changed;
    private Thread? _thread;
    private bool _isPaused;
    private bool _isDisposed;

    /// <summary>Watches an eventfd for each vector from <paramref name="start"/> on, in place of the one before; null just takes that
    /// away.</summary>
    /// <param name="index">The kind of interrupt.</param>
    /// <param name="start">The first vector.</param>
    /// <param name="events">The eventfds; owned by this object when it takes them.</param>
    /// <param name="isMask">Whether to mask rather than unmask.</param>
    /// <returns>False when they are more than can be watched.</returns>
    internal bool TryAdd(InterruptIndex index, int start, ReadOnlySpan<EventFd?> events, bool isMask)
    {
        lock (_gate)
        {
            int end = start + events.Length;
            bool IsReplaced(Watch watch) => watch.Index == index && watch.IsMask == isMask && watch.Vector >= start && watch.Vector < end;
            int added = 0;
            foreach (EventFd? wanted in events)
                added += wanted is null ? 0 : 1;
            if (_watches.Count(watch => !IsReplaced(watch)) + added > MaxEvents)
                return false;
            Remove(IsReplaced);
            for (int i = 0; i < events.Length; i++)
            {
                if (events[i] is { } wanted)
                    _watches.Add(new Watch(index, start + i, isMask, wanted));
            }

            if (_thread is null && added > 0 && !_isPaused)
                Start();
            _changed?.Signal();
            return true;
        }
    }

    internal void RemoveAll(InterruptIndex index)
    {
        lock (_gate)
        {
            Remove(watch => watch.Index == index);
            _changed?.Signal();
        }
    }

    /// <summary>Listens to nobody for now; what is signalled stays in the eventfds.</summary>
    internal void Pause()
    {
        Thread? thread;
        lock (_gate)
        {
            _isPaused = true;
            _changed?.Signal();
            _changed = null;
            thread = _thread;
            _thread = null;
        }

        thread?.Join();
    }

    /// <summary>Listens again.</summary>
    internal void Resume()
    {
        lock (_gate)
        {
            _isPaused = false;
            if (_thread is null && _watches.Count > 0)
                Start();
        }
    }

    /// <summary>Adds all that is watched.</summary>
    internal void CollectTo(List<BoundEvent> events)
    {
        lock (_gate)
        {
            foreach (Watch watch in _watches)
            {
                InterruptAction action = watch.IsMask ? InterruptAction.Mask : InterruptAction.Unmask;
                events.Add(new BoundEvent(watch.Index, action, watch.Vector, watch.Event.Descriptor));
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            Remove(_ => true);
            _changed?.Signal();
        }

        // Its last act may have been to signal who now disposes: then it waits for nobody.
        if (_thread is not null && _thread != Thread.CurrentThread)
            _thread.Join();
    }

    private void Start()
    {
        EventFd changed = _changed = EventFd.Create();
        _thread = new Thread(() => Run(changed)) { IsBackground = true, Name = $"{name} interrupt masks" };
        _thread.Start();
    }

    private void Remove(Predicate<Watch> which)
    {
        foreach (Watch watch in _watches.FindAll(which))
            watch.Event.Dispose();
        _watches.RemoveAll(which);
    }

    private void Run(EventFd changed)
    {
        FileDescriptor[] descriptors = new FileDescriptor[Poll.MaxDescriptors];
        Watch[] watched = new Watch[Poll.MaxDescriptors];
        bool[] ready = new bool[Poll.MaxDescriptors];
        while (TryHold(changed, descriptors, watched, out int count))
        {
            Poll.WaitAny(descriptors.AsSpan(0, count), ready, Timeout.InfiniteTimeSpan);
            for (int i = 1; i < count; i++)
            {
                if (ready[i] && watched[i].Event.Drain() != 0)
                    setMasked(watched[i].Index, watched[i].Vector, watched[i].IsMask);
                descriptors[i].DangerousRelease();
            }

            changed.Drain();
        }

        changed.Dispose();
    }

    /// <summary>Takes a reference to all that is watched now, so that it stays open while this thread waits.</summary>
    private bool TryHold(EventFd changed, FileDescriptor[] descriptors, Watch[] watched, out int count)
    {
        lock (_gate)
        {
            descriptors[0] = changed.Descriptor;
            count = 1;
            if (_isDisposed || _isPaused)
                return false;
            foreach (Watch watch in _watches)
            {
                bool isHeld = false;
                watch.Event.Descriptor.DangerousAddRef(ref isHeld);
                descriptors[count] = watch.Event.Descriptor;
                watched[count++] = watch;
            }

            return true;
        }
    }

    private sealed record Watch(InterruptIndex Index, int Vector, bool IsMask, EventFd Event);
}
