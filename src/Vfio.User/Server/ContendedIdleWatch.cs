using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Transport;

namespace Vfio.User.Server;

/// <summary>Ends a session that keeps other clients waiting while it does not use the device: see
/// <see cref="VfioUserServerOptions.ContendedIdleTimeout"/>.</summary>
/// <remarks>A thread of its own checks the backlog, so that a session pays nothing for it. It sleeps until a client waits.</remarks>
internal sealed class ContendedIdleWatch : IDisposable
{
    private readonly UnixListener _listener;
    private readonly TimeSpan _limit;
    private readonly int _places;
    private readonly ILogger _logger;
    private readonly EventFd _changed = EventFd.Create();
    private readonly Lock _lock = new();
    private readonly List<ServerSession> _sessions = [];
    private Thread? _thread;
    private volatile bool _isStopping;

    /// <summary>Makes one; it starts with <see cref="Start"/>.</summary>
    /// <param name="listener">The socket with the backlog; the caller keeps it.</param>
    /// <param name="options">The limit, how many clients are served at a time, and the logger.</param>
    internal ContendedIdleWatch(UnixListener listener, VfioUserServerOptions options)
    {
        _listener = listener;
        _limit = options.ContendedIdleTimeout;
        _places = options.MaxClients;
        _logger = options.Logger;
    }

    private bool IsFull
    {
        get
        {
            lock (_lock)
                return _sessions.Count >= _places;
        }
    }

    internal void Enter(ServerSession session)
    {
        lock (_lock)
            _sessions.Add(session);
        _changed.Signal();
    }

    internal void Leave(ServerSession session)
    {
        lock (_lock)
            _sessions.Remove(session);
        _changed.Signal();
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

    private void Run()
    {
        Span<bool> ready = [false, false];
        while (!_isStopping)
        {
            if (!IsFull)
            {
                Poll.WaitReadable(_changed.Descriptor, Timeout.InfiniteTimeSpan);
                _changed.Drain();
            }
            else if (Poll.WaitAny([_listener.Descriptor, _changed.Descriptor], ready, Timeout.InfiniteTimeSpan) > 0)
            {
                if (ready[0] && !ready[1])
                    WaitAndEnd();
                _changed.Drain();
            }
        }
    }

    /// <summary>Called when a client waits: gives the current sessions their time, then ends one.</summary>
    private void WaitAndEnd()
    {
        Deadline deadline = new(_limit);
        while (!deadline.HasPassed)
        {
            if (Poll.WaitReadable(_changed.Descriptor, deadline.Left))
                return;
        }

        if (!Poll.IsReady(_listener.Descriptor, forWriting: false))
            return;
        lock (_lock)
        {
            if (_sessions.Find(session => !session.IsInUse) is not { } idle)
                return;
            ServerLog.MakesWay(_logger, idle.DeviceName, _limit.TotalSeconds);
            idle.Stop("others wait, and it had no memory mapped and no interrupt bound");
        }
    }
}
