using Vfio.Native;

namespace Vfio.Guard;

/// <summary>The doorbells of one lease: an eventfd for each, and a thread that turns a ring into the write that it stands for.</summary>
/// <remarks>The thread starts when the first doorbell is asked for. An eventfd is drained in the function's turn, so that a ring from
/// before a reset is gone after it.</remarks>
/// <param name="name">The device, for the thread's name.</param>
/// <param name="turn">The function's turn.</param>
/// <param name="ring">Does the write; called in the turn, and does not throw.</param>
internal sealed class GuardedDoorbells(string name, Turn turn, Action<RegionIndex, Doorbell> ring)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<RegionIndex, Doorbell[]> _byRegion = [];
    private readonly List<(RegionIndex Region, Doorbell Bell)> _all = [];
    private readonly EventFd _stop = EventFd.Create();
    private readonly Epoll _epoll = new();
    private Thread? _thread;
    private bool _watchesStop;
    private bool _isPaused;
    private bool _isStopped;

    /// <summary>The doorbells of a region, with their eventfds.</summary>
    /// <param name="region">Which region.</param>
    /// <param name="offered">What the function says it has there.</param>
    internal IReadOnlyList<Doorbell> Get(RegionIndex region, IReadOnlyList<Doorbell> offered)
    {
        lock (_gate)
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
    /// <param name="known">What was shown, with eventfds that are lent.</param>
    /// <returns>False when the user knows one that the function does not have.</returns>
    internal bool TryTakeOver(RegionIndex region, IReadOnlyList<Doorbell> offered, IReadOnlyList<Doorbell> known)
    {
        if (known.Any(bell => !offered.Contains(bell with { Event = null })))
            return false;
        lock (_gate)
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
        lock (_gate)
            return [.. _all.Select(shown => new RegionDoorbell(shown.Region, shown.Bell))];
    }

    /// <summary>Hears nothing for now; rings stay in the eventfds. Outside the turn.</summary>
    internal void Pause()
    {
        Thread? thread;
        lock (_gate)
        {
            _isPaused = true;
            thread = _thread;
            _thread = null;
            if (thread is not null)
                _stop.Signal();
        }

        thread?.Join();
        _stop.Drain();
    }

    /// <summary>Hears again, what was rung meanwhile too.</summary>
    internal void Resume()
    {
        lock (_gate)
        {
            if (!_isPaused)
                return;
            _isPaused = false;
            // The thread may have ended with reports in its hands.
            for (int i = 0; i < _all.Count; i++)
                _epoll.Arm(_all[i].Bell.Event!.Descriptor, (ulong)i + 1);
            if (_all.Count > 0)
                Start();
        }
    }

    /// <summary>Forgets the rings that have not been heard; in the turn.</summary>
    internal void Forget()
    {
        lock (_gate)
        {
            foreach ((_, Doorbell bell) in _all)
                bell.Event!.Drain();
        }
    }

    /// <summary>Ends: no ring is heard any more.</summary>
    internal void Stop()
    {
        lock (_gate)
        {
            _isStopped = true;
            _stop.Signal();
        }
    }

    /// <summary>Waits for the thread and closes the eventfds; after <see cref="Stop"/>, outside the turn.</summary>
    internal void Close()
    {
        // Its last act may have woken who now closes: then it waits for nobody.
        if (_thread is not null && _thread != Thread.CurrentThread)
            _thread.Join();
        foreach ((_, Doorbell bell) in _all)
            bell.Event!.Dispose();
        _epoll.Dispose();
        _stop.Dispose();
    }

    private Doorbell[] Add(RegionIndex region, Doorbell[] made)
    {
        _byRegion.Add(region, made);
        foreach (Doorbell bell in made)
        {
            _all.Add((region, bell));
            _epoll.Add(bell.Event!.Descriptor, (ulong)_all.Count);
        }

        if (_thread is null && made.Length > 0 && !_isPaused)
            Start();
        return made;
    }

    private void Start()
    {
        if (_watchesStop)
            _epoll.Arm(_stop.Descriptor, 0);
        else
            _epoll.Add(_stop.Descriptor, 0);
        _watchesStop = true;
        _thread = new Thread(Run) { IsBackground = true, Name = $"{name} doorbells" };
        _thread.Start();
    }

    private void Run()
    {
        ulong[] tokens = new ulong[64];
        while (true)
        {
            int count = _epoll.Wait(tokens, Timeout.InfiniteTimeSpan);
            foreach (ulong token in tokens.AsSpan(0, count))
            {
                if (token == 0)
                    return;
                Ring(token);
            }
        }
    }

    private void Ring(ulong token)
    {
        (RegionIndex region, Doorbell bell) = At(token);
        using (Turn.Scope scope = turn.Take())
        {
            if (!_isStopped && bell.Event!.Drain() != 0)
                ring(region, bell);
        }

        _epoll.Arm(bell.Event!.Descriptor, token);
    }

    private (RegionIndex Region, Doorbell Bell) At(ulong token)
    {
        lock (_gate)
            return _all[(int)token - 1];
    }
}
