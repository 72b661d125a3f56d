using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Bars;

/// <summary>The doorbells of one lease: an eventfd for each, and a thread that turns a ring into the write that it stands for.</summary>
/// <remarks>The thread starts when the first doorbell is asked for. An eventfd is drained under the function's lock, so that a ring from
/// before a reset is gone after it.</remarks>
/// <param name="name">The device, for the thread's name.</param>
/// <param name="functionLock">The function's lock.</param>
/// <param name="ring">Does the write; called under the lock, and does not throw.</param>
internal sealed class GuardedDoorbells(string name, FunctionLock functionLock, Action<RegionIndex, Doorbell> ring)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<RegionIndex, Doorbell[]> _byRegion = [];
    private readonly EventLoop _loop = new($"{name} doorbells");
    private volatile bool _isStopped;

    /// <summary>The doorbells of a region, with their eventfds.</summary>
    /// <param name="region">Which region.</param>
    /// <param name="offered">What the function says it has there.</param>
    internal IReadOnlyList<Doorbell> Get(RegionIndex region, IReadOnlyList<Doorbell> offered)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isStopped, this);
            if (_byRegion.TryGetValue(region, out Doorbell[]? known))
                return known;
            return Add(region, [.. offered.Select(bell => bell with { Event = EventFd.Create() })]);
        }
    }

    /// <summary>Takes over the doorbells that another process showed of a region.</summary>
    /// <param name="region">Which region.</param>
    /// <param name="offered">What the function says it has there.</param>
    /// <param name="known">What was shown, with eventfds that stay the caller's.</param>
    /// <returns>False when the user knows one that the function does not have.</returns>
    internal bool TryTakeOver(RegionIndex region, IReadOnlyList<Doorbell> offered, IReadOnlyList<Doorbell> known)
    {
        if (known.Any(bell => !offered.Contains(bell with { Event = null })))
            return false;
        lock (_lock)
        {
            Add(region, [.. offered.Select(bell => bell with
            {
                Event = known.FirstOrDefault(old => bell == old with { Event = null }).Event is { } rung
                    ? EventFd.TryHold(rung.Descriptor)
                    : EventFd.Create(),
            })]);
            return true;
        }
    }

    /// <summary>All that were shown.</summary>
    internal RegionDoorbell[] Shown()
    {
        lock (_lock)
            return [.. _byRegion.SelectMany(shown => shown.Value, (shown, bell) => new RegionDoorbell(shown.Key, bell))];
    }

    /// <summary>Hears nothing for now; rings stay in the eventfds. without the lock, when it has heard anything yet.</summary>
    internal void Pause() => _loop.Pause();

    /// <summary>Hears again, what was rung meanwhile too.</summary>
    internal void Resume() => _loop.Resume();

    /// <summary>Forgets the rings that have not been heard; under the lock.</summary>
    internal void Forget()
    {
        lock (_lock)
        {
            foreach (Doorbell bell in _byRegion.Values.SelectMany(bells => bells))
                bell.Event!.Drain();
        }
    }

    /// <summary>Ends: no ring is heard any more.</summary>
    internal void Stop() => _isStopped = true;

    /// <summary>Waits for the thread and closes the eventfds; after <see cref="Stop"/>, without the lock.</summary>
    internal void Close()
    {
        _loop.Dispose();
        lock (_lock)
        {
            foreach (Doorbell bell in _byRegion.Values.SelectMany(bells => bells))
                bell.Event!.Dispose();
        }
    }

    private Doorbell[] Add(RegionIndex region, Doorbell[] made)
    {
        List<EventRegistration> added = [];
        try
        {
            foreach (Doorbell bell in made)
                added.Add(_loop.Add(bell.Event!, _ => Ring(region, bell)));
        }
        catch
        {
            added.ForEach(registration => registration.Cancel());
            Array.ForEach(made, bell => bell.Event!.Dispose());
            throw;
        }

        _byRegion.Add(region, made);
        return made;
    }

    private void Ring(RegionIndex region, Doorbell bell)
    {
        using FunctionLock.Scope scope = functionLock.Take();
        if (!_isStopped && bell.Event!.Drain() != 0)
            ring(region, bell);
    }
}
