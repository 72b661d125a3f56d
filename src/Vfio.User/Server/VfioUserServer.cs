using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Server;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User;

/// <summary>Serves a device to clients over a UNIX socket by the vfio-user protocol.</summary>
/// <remarks>
/// <para>One client is served at a time, unless <see cref="VfioUserServerOptions.MaxClients"/> allows more; others wait in the socket's
/// backlog. A session opens the device when client and server have agreed on a version, and disposes it when the client leaves, so every
/// client finds it as after a reset.</para>
/// <para>The thread in <see cref="Run"/> accepts clients and runs the session: only it calls the device and answers commands,
/// in the order in which they come. Threads of the device may use the client's memory at any time.</para>
/// <para>A client that breaks the protocol receives an errno where the stream is intact, and is disconnected where it is not; the server
/// continues.</para>
/// </remarks>
public sealed class VfioUserServer : IDisposable, IAsyncDisposable
{
    private readonly Func<IVfioDevice> _open;
    private readonly VfioUserServerOptions _options;
    private readonly UnixListener? _listener;
    private readonly EventFd _stop = EventFd.Create();
    private readonly EventFd _left = EventFd.Create();
    private readonly HandoverPoint? _handover;
    private readonly ContendedIdleWatch? _idleWatch;
    private readonly AcceptBackoff _accepts;
    private readonly HashSet<Thread> _sessions = [];
    private SessionBuffers? _buffers;
    private (ServerSession Session, UnixSocket Socket)? _takenOver;

    /// <summary>Makes a server; it listens from here on.</summary>
    /// <param name="open">Opens the device, once for each session; a <see cref="VfioException"/> becomes the client's errno.</param>
    /// <param name="options">Where it listens, and its limits.</param>
    /// <exception cref="VfioException">It cannot listen there: EADDRINUSE when another process does. Or the process at
    /// <see cref="VfioUserServerOptions.TakeOverPath"/> is no server, belongs to another user (EACCES), refuses (EBUSY), or has a device
    /// whose state this one cannot take (EINVAL); that server then continues.</exception>
    public VfioUserServer(Func<IVfioDevice> open, VfioUserServerOptions options)
    {
        ArgumentNullException.ThrowIfNull(open);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _open = open;
        _options = options;
        _accepts = new AcceptBackoff(options.Logger);
        try
        {
            if (options.TakeOverPath is string predecessor)
                TakeOver(predecessor, out _listener, out _handover);
            else if (options.Listener is FileDescriptor listener)
                _listener = UnixListener.FromDescriptor(listener, options.Path);
            else if (options.Path is string path)
                _listener = UnixListener.Bind(path, SocketPlace.UserAndGroup, options.Owner);
            if (options.HandoverPath is string successor)
                _handover ??= new HandoverPoint(HandoverPoint.Listen(successor), _listener!, options.Logger);
            if (_listener is not null && options.ContendedIdleTimeout != Timeout.InfiniteTimeSpan)
                _idleWatch = new ContendedIdleWatch(_listener, options);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The socket's file, also one of a predecessor; null when there is none, or it is not known.</summary>
    public string? Path => _listener?.Path ?? _options.Path;

    /// <summary>Whether a successor has taken over: <see cref="Run"/> has returned, or is about to.</summary>
    public bool IsHandedOver { get; private set; }

    /// <summary>Serves clients until cancelled, or until a successor has taken over.</summary>
    /// <param name="cancellation">Ends the session under way, and then this method.</param>
    /// <exception cref="InvalidOperationException">The server has nowhere to listen.</exception>
    public void Run(CancellationToken cancellation)
    {
        UnixListener listener = _listener ?? throw new InvalidOperationException("the server has neither a path nor a listener");
        _stop.Drain();
        using CancellationTokenRegistration registration = cancellation.Register(Stop);
        _idleWatch?.Start();
        _handover?.Start();
        try
        {
            if (_takenOver is (ServerSession session, UnixSocket connection))
            {
                _takenOver = null;
                using (connection)
                    RunSession(session, _idleWatch, cancellation);
            }

            while (WaitForClient(listener, cancellation))
            {
                if (_accepts.TryAccept(listener, _stop) is not { } socket)
                    continue;
                if (_options.MaxClients > 1)
                    StartSession(socket, _idleWatch, cancellation);
                else
                    RunSession(socket, _idleWatch, cancellation);
            }
        }
        finally
        {
            _handover?.Stop();
            JoinSessions();
            _idleWatch?.Stop();
        }
    }

    /// <summary>As <see cref="Run"/>, on a thread of its own.</summary>
    /// <param name="cancellation">Ends the session under way, and then the task, which then is complete and not cancelled.</param>
    public Task RunAsync(CancellationToken cancellation) => Task.Factory.StartNew(
        () => Run(cancellation), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Serves the client of one connection until it leaves.</summary>
    /// <param name="socket">The connection; the caller keeps it.</param>
    /// <param name="cancellation">Ends the session.</param>
    internal void Serve(UnixSocket socket, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(socket);
        RunSession(Begin(socket, handover: null), watch: null, cancellation);
    }

    /// <summary>Removes the sockets' files of a server that does not end though it was cancelled, because a call of its device does not
    /// return: for a process that is about to end. Any thread may call it.</summary>
    public void Abandon()
    {
        ServerLog.DoesNotEnd(_options.Logger);
        _listener?.RemoveFile();
        _handover?.RemoveFile();
    }

    /// <summary>Stops listening and removes the socket's file. Cancel and await <see cref="Run"/> first.</summary>
    public void Dispose()
    {
        _handover?.Dispose();
        _idleWatch?.Dispose();
        _listener?.Dispose();
        _stop.Dispose();
        _left.Dispose();
        _buffers?.Dispose();
        if (_takenOver is (ServerSession session, UnixSocket connection))
        {
            session.Stop("the server stops");
            session.Run();
            connection.Dispose();
        }
    }

    /// <summary>As <see cref="Dispose"/>, which may wait for the end of a session, on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    private bool IsFull
    {
        get
        {
            lock (_sessions)
                return _sessions.Count >= _options.MaxClients;
        }
    }

    private ServerSession Begin(UnixSocket socket, HandoverPoint? handover)
    {
        // The buffers are reused by the next session; a second session at the same time makes its own.
        SessionBuffers buffers = Interlocked.Exchange(ref _buffers, null) ?? new SessionBuffers(_options.MaxMessageBytes);
        return new ServerSession(_open, socket, buffers, _options, handover);
    }

    private void Stop()
    {
        _stop.Signal();
        _handover?.Interrupt();
    }

    private void RunSession(UnixSocket socket, ContendedIdleWatch? watch, CancellationToken cancellation)
    {
        using (socket)
            RunSession(Begin(socket, _handover), watch, cancellation);
    }

    private void StartSession(UnixSocket socket, ContendedIdleWatch? watch, CancellationToken cancellation)
    {
        Thread thread = new(() =>
        {
            try
            {
                RunSession(socket, watch, cancellation);
            }
            catch (Exception failure)
            {
                // A fault of this process, for example out of memory: the other sessions continue.
                ServerLog.SessionFailed(_options.Logger, failure);
            }
            finally
            {
                lock (_sessions)
                    _sessions.Remove(Thread.CurrentThread);
                _left.Signal();
            }
        })
        {
            IsBackground = true,
            Name = "vfio-user session",
        };
        lock (_sessions)
            _sessions.Add(thread);
        thread.Start();
    }

    private void JoinSessions()
    {
        Thread[] threads;
        lock (_sessions)
            threads = [.. _sessions];
        foreach (Thread thread in threads)
            thread.Join();
    }

    private void RunSession(ServerSession session, ContendedIdleWatch? watch, CancellationToken cancellation)
    {
        try
        {
            using CancellationTokenRegistration registration = cancellation.Register(() => session.Stop("the server stops"));
            watch?.Enter(session);
            session.Run();
            IsHandedOver |= session.HasDeparted;
        }
        finally
        {
            watch?.Leave(session);
            session.Buffers.Clear();
            Interlocked.Exchange(ref _buffers, session.Buffers)?.Dispose();
        }
    }

    /// <summary>Takes over from the server at a path. When it throws, that server continues.</summary>
    private void TakeOver(string path, out UnixListener listener, out HandoverPoint? handover)
    {
        using Predecessor predecessor = Predecessor.Ask(path);
        HandoverReader from = predecessor.Contents;
        List<UnixListener> listeners = [];
        ServerSession? session = null;
        UnixSocket? socket = null;
        handover = null;
        try
        {
            listener = ReadListener(from, listeners);
            UnixListener place = ReadListener(from, listeners);
            bool isSamePlace = _options.HandoverPath is string wanted && System.IO.Path.GetFullPath(wanted) == place.Path;
            if (isSamePlace)
                handover = new HandoverPoint(place, listener, _options.Logger);
            else if (_options.HandoverPath is string other)
                handover = new HandoverPoint(HandoverPoint.Listen(other), listener, _options.Logger);
            if (from.ReadBool())
            {
                socket = new UnixSocket(from.TakeDescriptor());
                session = Begin(socket, handover);
                session.Restore(from);
            }

            from.End();
            predecessor.Accept();
            if (!isSamePlace)
                place.Dispose();
        }
        catch (Exception failure)
        {
            predecessor.Refuse(failure.Message);
            session?.Abandon();
            session?.Buffers.Dispose();
            socket?.Dispose();

            // Their files belong to the other server.
            listeners.ForEach(taken => taken.LeaveFile());
            listeners.ForEach(taken => taken.Dispose());
            handover?.Dispose();
            handover = null;
            throw;
        }

        session?.Resume();
        if (session is not null)
            _takenOver = (session, socket!);
    }

    private static UnixListener ReadListener(HandoverReader from, List<UnixListener> listeners)
    {
        string? path = from.ReadText();
        listeners.Add(UnixListener.FromDescriptor(from.TakeDescriptor(), path));
        return listeners[^1];
    }

    private bool WaitForClient(UnixListener listener, CancellationToken cancellation)
    {
        Span<bool> ready = [false, false, false];
        ReadOnlySpan<FileDescriptor> awaited = _handover is { } point
            ? [listener.Descriptor, _stop.Descriptor, point.Asked.Descriptor]
            : [listener.Descriptor, _stop.Descriptor];
        while (!cancellation.IsCancellationRequested && !IsHandedOver)
        {
            if (IsFull)
            {
                Poll.WaitAny([_left.Descriptor, _stop.Descriptor], ready, Timeout.InfiniteTimeSpan);
                _left.Drain();
                continue;
            }

            if (_handover is { IsAsked: true })
            {
                // No client is connected: only the sockets are handed over.
                HandoverWriter to = _handover.Begin();
                to.Write(false);
                IsHandedOver = _handover.TryGive(to);
            }
            else if (Poll.WaitAny(awaited, ready, Timeout.InfiniteTimeSpan) > 0 && ready[0])
            {
                return !cancellation.IsCancellationRequested;
            }
        }

        return false;
    }
}
