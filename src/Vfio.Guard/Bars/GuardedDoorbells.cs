using Vfio.Abstractions;
using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Bars;

/// <summary>The doorbells of one lease: an eventfd for each, and a thread that does the write for which a signal stands.</summary>
/// <remarks>The thread starts with the first doorbell. An eventfd is drained under the function's lock, so a reset drops the signals
/// that came before it.</remarks>
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
    /// <param name="offered">The function's doorbells in the region.</param>
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

    /// <summary>Takes over the doorbells of a region from another process.</summary>
    /// <param name="region">Which region.</param>
    /// <param name="offered">The function's doorbells in the region.</param>
    /// <param name="known">The doorbells that the user knows; their eventfds stay the caller's.</param>
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

    /// <summary>All doorbells that the user knows.</summary>
    internal RegionDoorbell[] Shown()
    {
        lock (_lock)
            return [.. _byRegion.SelectMany(shown => shown.Value, (shown, bell) => new RegionDoorbell(shown.Key, bell))];
    }

    /// <summary>Stops listening; signals stay in the eventfds. Called without the lock.</summary>
    internal void Pause() => _loop.Pause();

    /// <summary>Listens again. Signals that came meanwhile count.</summary>
    internal void Resume() => _loop.Resume();

    /// <summary>Drops the signals that were not handled yet; under the lock.</summary>
    internal void Forget()
    {
        lock (_lock)
        {
            foreach (Doorbell bell in _byRegion.Values.SelectMany(bells => bells))
                bell.Event!.Drain();
        }
    }

    /// <summary>Stops: signals have no effect from here on.</summary>
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
