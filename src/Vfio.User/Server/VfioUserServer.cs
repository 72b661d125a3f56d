using Vfio.Native;

namespace Vfio.User;

/// <summary>Lends a device to clients over a UNIX socket, as vfio-user has it.</summary>
/// <remarks>
/// <para>One client is served at a time; others wait in the socket's backlog. A session opens the device when a client has agreed
/// on a version, and disposes it when the client leaves, so every client finds it reset and quiet.</para>
/// <para>The thread in <see cref="Run"/> accepts, and is the owner of each session: it alone calls the device and answers commands,
/// in the order in which they come. Threads of the device may use the client's memory at any time.</para>
/// <para>A client that breaks the protocol gets an errno where the stream is intact, and is dropped where it is not; neither ends the
/// server.</para>
/// </remarks>
public sealed class VfioUserServer : IDisposable
{
    // Who may connect: the owner and the group, by convention.
    private const UnixFileMode Mode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);
    private readonly Func<IVfioDevice> _open;
    private readonly VfioUserServerOptions _options;
    private readonly UnixListener? _listener;
    private readonly EventFd _stop = EventFd.Create();
    private SessionBuffers? _buffers;

    /// <summary>Makes a server; it listens from here on.</summary>
    /// <param name="open">Opens the device, once a session; a <see cref="VfioException"/> becomes the client's errno.</param>
    /// <param name="options">Where it listens. With neither a path nor a listener only <see cref="Serve"/> can be used.</param>
    /// <exception cref="VfioException">It cannot listen there: EADDRINUSE when somebody else does.</exception>
    public VfioUserServer(Func<IVfioDevice> open, VfioUserServerOptions options)
    {
        ArgumentNullException.ThrowIfNull(open);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _open = open;
        _options = options;
        try
        {
            if (options.Listener is FileDescriptor listener)
                _listener = UnixListener.FromDescriptor(listener, options.Path);
            else if (options.Path is string path)
                _listener = UnixListener.Bind(path, Mode);
        }
        catch
        {
            _stop.Dispose();
            throw;
        }
    }

    /// <summary>Serves one client after the other until cancelled.</summary>
    /// <param name="cancellation">Ends the session under way, and then this.</param>
    /// <exception cref="InvalidOperationException">The server has nowhere to listen.</exception>
    public void Run(CancellationToken cancellation)
    {
        UnixListener listener = _listener ?? throw new InvalidOperationException("the server has neither a path nor a listener");
        _stop.Drain();
        using CancellationTokenRegistration registration = cancellation.Register(_stop.Signal);
        while (WaitForClient(listener, cancellation))
        {
            using UnixSocket? socket = TryAccept(listener);
            if (socket is not null)
                Serve(socket, cancellation);
        }
    }

    /// <summary>As <see cref="Run"/>, on a thread of its own.</summary>
    /// <param name="cancellation">Ends the session under way, and then the task, which then is complete and not cancelled.</param>
    public Task RunAsync(CancellationToken cancellation) => Task.Factory.StartNew(
        () => Run(cancellation), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Serves the client of one connection until it leaves.</summary>
    /// <param name="socket">The connection; lent.</param>
    /// <param name="cancellation">Ends the session.</param>
    public void Serve(UnixSocket socket, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(socket);
        // The buffers go from one session to the next; a second session at the same time makes its own.
        SessionBuffers buffers = Interlocked.Exchange(ref _buffers, null) ?? new SessionBuffers(_options.MaxMessageBytes);
        try
        {
            ServerSession session = new(_open, socket, buffers, _options);
            using CancellationTokenRegistration registration = cancellation.Register(() => session.Stop("the server stops"));
            session.Run();
        }
        finally
        {
            buffers.Clear();
            _buffers = buffers;
        }
    }

    /// <summary>Gives the listening socket to a successor that waits for it; its clients find the socket there all the time.</summary>
    /// <remarks>After <see cref="Run"/> has ended, and once a point. When the successor is gone by now <see cref="Run"/> may be called
    /// again.</remarks>
    /// <param name="successor">The connection of <see cref="HandoverPoint"/>.</param>
    /// <returns>Whether the successor has it; this server is of no use any more then, and its socket's file stays.</returns>
    /// <exception cref="InvalidOperationException">The server has nowhere to listen.</exception>
    public bool HandOver(HandoverPoint successor)
    {
        ArgumentNullException.ThrowIfNull(successor);
        UnixListener listener = _listener ?? throw new InvalidOperationException("the server has neither a path nor a listener");
        if (!successor.Give(listener.Descriptor, _options.Path))
            return false;
        listener.LeaveFile();
        return true;
    }

    /// <summary>Stops listening and removes the socket's file. Cancel and await <see cref="Run"/> first.</summary>
    public void Dispose()
    {
        _listener?.Dispose();
        _stop.Dispose();
        _buffers?.Dispose();
    }

    private bool WaitForClient(UnixListener listener, CancellationToken cancellation)
    {
        Span<bool> ready = [false, false];
        while (!cancellation.IsCancellationRequested)
        {
            if (Poll.WaitAny([listener.Descriptor, _stop.Descriptor], ready, Timeout.InfiniteTimeSpan) > 0 && ready[0])
                return !cancellation.IsCancellationRequested;
        }

        return false;
    }

    private UnixSocket? TryAccept(UnixListener listener)
    {
        try
        {
            return listener.Accept()
                ?? throw new VfioException("accept", _options.Path ?? "the passed socket", Errno.InvalidArgument, "it does not listen");
        }
        catch (VfioException refusal) when (refusal.Errno is Errno.TooManyOpenFiles or Errno.NoBuffers or Errno.NoMemory)
        {
            // The client stays in the backlog; what this process lacks may come back.
            ServerLog.AcceptFailed(_options.Logger, refusal);
            Thread.Sleep(RetryAfter);
            return null;
        }
    }
}
