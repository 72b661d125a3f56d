using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Transport;

namespace Vfio.User.Server;

/// <summary>Ends a session that keeps others waiting though it has nothing of the device: see
/// <see cref="VfioUserServerOptions.ContendedIdleTimeout"/>.</summary>
/// <remarks>A thread of its own looks at the backlog, so that a session pays nothing for it. It sleeps until somebody waits.</remarks>
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

    /// <summary>Makes one that does not look yet.</summary>
    /// <param name="listener">Whose backlog; the caller keeps it.</param>
    /// <param name="options">The limit, how many clients are served at a time, and who is told.</param>
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

    /// <summary>Looks from now on.</summary>
    internal void Start()
    {
        _isStopping = false;
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio-user turns" };
        _thread.Start();
    }

    /// <summary>Looks no more.</summary>
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

    /// <summary>Somebody waits: gives the sessions of now their time.</summary>
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
