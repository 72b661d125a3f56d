using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Transport;

namespace Vfio.User.Server;

/// <summary>Ends a session that keeps other clients waiting while it does not use the device: see
/// <see cref="VfioUserServerOptions.ContendedIdleTimeout"/>.</summary>
/// <remarks>A thread of its own checks the backlog. A session pays nothing for it: the thread is woken by a session only after a time
/// without any, and does not look at the backlog before the same sessions were there for a while (<see cref="_rest"/>). So a client
/// waits for the limit and up to a second more.</remarks>
internal sealed class ContendedIdleWatch : IDisposable
{
    private readonly UnixListener _listener;
    private readonly TimeSpan _limit;
    private readonly TimeSpan _rest;
    private readonly int _places;
    private readonly ILogger _logger;
    private readonly EventFd _changed = EventFd.Create();
    private readonly Lock _lock = new();
    private readonly List<ServerSession> _sessions = [];

    // Counts sessions that began or ended: equal numbers, equal sessions.
    private ulong _changes;
    private bool _isParked;
    private Thread? _thread;
    private volatile bool _isStopping;

    /// <summary>Makes one; it starts with <see cref="Start"/>.</summary>
    /// <param name="listener">The socket with the backlog; the caller keeps it.</param>
    /// <param name="options">The limit, how many clients are served at a time, and the logger.</param>
    internal ContendedIdleWatch(UnixListener listener, VfioUserServerOptions options)
    {
        _listener = listener;
        _limit = options.ContendedIdleTimeout;
        _rest = TimeSpan.FromTicks(Math.Min(_limit.Ticks / 8, TimeSpan.TicksPerSecond));
        _places = options.MaxClients;
        _logger = options.Logger;
    }

    internal void Enter(ServerSession session)
    {
        bool wakes;
        lock (_lock)
        {
            _sessions.Add(session);
            _changes++;
            wakes = _isParked && IsFull;
            _isParked &= !wakes;
        }

        if (wakes)
            _changed.Signal();
    }

    internal void Leave(ServerSession session)
    {
        lock (_lock)
        {
            _sessions.Remove(session);
            _changes++;
        }
    }

    /// <summary>Starts to check.</summary>
    internal void Start()
    {
        _isStopping = false;
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio-user idle" };
        _thread.Start();
    }

    /// <summary>Stops checking.</summary>
    internal void Stop()
    {
        _isStopping = true;
        _changed.Signal();
        _thread?.Join();
        _thread = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop();
        _changed.Dispose();
    }

    // Under the lock.
    private bool IsFull => _sessions.Count >= _places;

    private void Run()
    {
        ulong seen = 0;
        Span<bool> ready = [false, false];
        while (!_isStopping)
        {
            if (!IsUnchanged(ref seen))
                Poll.WaitReadable(_changed.Descriptor, _rest);
            else if (TryPark(seen))
                Poll.WaitReadable(_changed.Descriptor, Timeout.InfiniteTimeSpan);
            else if (Poll.WaitAny([_listener.Descriptor, _changed.Descriptor], ready, Timeout.InfiniteTimeSpan) > 0 && ready[0] && IsUnchanged(ref seen))
                WaitAndEnd(seen);
            _changed.Drain();
        }
    }

    private bool IsUnchanged(ref ulong seen)
    {
        lock (_lock)
        {
            bool isUnchanged = _changes == seen;
            seen = _changes;
            return isUnchanged;
        }
    }

    /// <summary>Sleeps until all places are taken, if one is free.</summary>
    private bool TryPark(ulong seen)
    {
        lock (_lock)
            return _isParked = !IsFull && _changes == seen;
    }

    /// <summary>Called when a client waits: gives the current sessions their time, then ends one.</summary>
    private void WaitAndEnd(ulong seen)
    {
        Deadline deadline = new(_limit - _rest);
        while (!deadline.HasPassed)
        {
            TimeSpan left = deadline.Left;
            if (Poll.WaitReadable(_changed.Descriptor, left < _rest ? left : _rest) || !IsUnchanged(ref seen))
                return;
        }

        if (!Poll.IsReady(_listener.Descriptor, forWriting: false))
            return;
        lock (_lock)
        {
            if (_changes != seen || _sessions.Find(session => !session.IsInUse) is not { } idle)
                return;
            ServerLog.MakesWay(_logger, idle.DeviceName, _limit.TotalSeconds);
            idle.Stop("others wait, and it had no memory mapped and no interrupt bound");
        }
    }
}
