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
            Doorbell[] made = [.. offered.Select(bell => bell with { Event = EventFd.Create() })];
            _byRegion.Add(region, made);
            foreach (Doorbell bell in made)
            {
                _all.Add((region, bell));
                _epoll.Add(bell.Event!.Descriptor, (ulong)_all.Count);
            }

            if (_thread is null && made.Length > 0)
                Start();
            return made;
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

    private void Start()
    {
        _epoll.Add(_stop.Descriptor, 0);
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
