using Vfio.Abstractions;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Interrupts;

/// <summary>Masks or unmasks a vector when somebody signals an eventfd. Its thread starts with the first eventfd.</summary>
/// <param name="name">The device, for the thread's name.</param>
/// <param name="setMasked">Masks or unmasks; called by that thread. It takes no lock that is held where this object is called.</param>
internal sealed class EventWatcher(string name, Action<InterruptIndex, int, bool> setMasked) : IDisposable
{
    /// <summary>The most eventfds: the user decides how many there are.</summary>
    private const int MaxEvents = 63;

    private readonly Lock _lock = new();
    private readonly EventLoop _loop = new($"{name} interrupt masks");
    private List<Watch> _watches = [];

    /// <summary>Watches an eventfd for each vector from <paramref name="start"/> on, in place of the one before; null removes it.</summary>
    /// <param name="index">The kind of interrupt.</param>
    /// <param name="start">The first vector.</param>
    /// <param name="events">The eventfds; owned by this object when it takes them.</param>
    /// <param name="isMask">Whether to mask rather than unmask.</param>
    /// <returns>False when there are too many to watch; nothing is changed then.</returns>
    internal bool TryAdd(InterruptIndex index, int start, ReadOnlySpan<EventFd?> events, bool isMask)
    {
        int end = start + events.Length;
        bool IsReplaced(Watch watch) => watch.Index == index && watch.IsMask == isMask && watch.Vector >= start && watch.Vector < end;
        lock (_lock)
        {
            List<Watch> added = [];
            for (int i = 0; i < events.Length; i++)
            {
                if (events[i] is { } wanted)
                    added.Add(new Watch(index, start + i, isMask, wanted));
            }

            if (_watches.Count(watch => !IsReplaced(watch)) + added.Count > MaxEvents || !added.TrueForAll(TryListen))
            {
                added.ForEach(watch => watch.Registration?.Dispose());
                return false;
            }

            Remove(IsReplaced);
            _watches.AddRange(added);
            return true;
        }
    }

    /// <summary>Removes the eventfds of a kind: when this returns, none of them masks or unmasks.</summary>
    internal void RemoveAll(InterruptIndex index)
    {
        lock (_lock)
            Remove(watch => watch.Index == index);
    }

    /// <summary>Stops listening; signals stay in the eventfds.</summary>
    internal void Pause() => _loop.Pause();

    /// <summary>Listens again.</summary>
    internal void Resume() => _loop.Resume();

    /// <summary>Adds all watched eventfds to a list.</summary>
    internal void CollectTo(List<BoundEvent> events)
    {
        lock (_lock)
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
        _loop.Dispose();
        lock (_lock)
            Remove(_ => true);
    }

    private bool TryListen(Watch watch)
    {
        try
        {
            watch.Registration = _loop.Add(watch.Event, _ =>
            {
                watch.Event.Drain();
                setMasked(watch.Index, watch.Vector, watch.IsMask);
            });
            return true;
        }
        catch (VfioException)
        {
            // No descriptors left, or no memory.
            return false;
        }
    }

    private void Remove(Predicate<Watch> which)
    {
        foreach (Watch watch in _watches.FindAll(which))
        {
            watch.Registration?.Dispose();
            watch.Event.Dispose();
        }

        _watches.RemoveAll(which);
    }

    private sealed record Watch(InterruptIndex Index, int Vector, bool IsMask, EventFd Event)
    {
        internal EventRegistration? Registration { get; set; }
    }
}
