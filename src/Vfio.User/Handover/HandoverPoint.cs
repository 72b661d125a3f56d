using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Server;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Handover;

/// <summary>The socket where a server waits for its successor, a process that takes over from it.</summary>
/// <remarks>
/// <para>A thread of its own accepts successors: only the same user and root may ask. The thread that serves hands over, between two
/// messages, or refuses with a reason; see <see cref="HandoverKind"/> for the messages.</para>
/// <para>The handover socket itself is handed over too, so a later successor always finds the current server.</para>
/// </remarks>
internal sealed class HandoverPoint : IDisposable, ISessionHandover
{
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan GiveTimeout = TimeSpan.FromSeconds(10);
    private readonly UnixListener _served;
    private readonly UnixListener _listener;
    private readonly ILogger _logger;
    private readonly EventFd _stop = EventFd.Create();
    private readonly SemaphoreSlim _isAnswered = new(0);
    private readonly AcceptBackoff _accepts;
    private readonly Lock _talks = new();
    private HandoverExchange? _meeting;
    private bool _isGiving;
    private volatile HandoverExchange? _successor;
    private volatile bool _isStopping;
    private Thread? _thread;

    /// <summary>Makes it; it accepts successors from <see cref="Start"/> on.</summary>
    /// <param name="listener">The socket; owned.</param>
    /// <param name="served">The server's listening socket; the caller keeps it.</param>
    /// <param name="logger">Logs every handover.</param>
    internal HandoverPoint(UnixListener listener, UnixListener served, ILogger logger)
    {
        _listener = listener;
        _served = served;
        _logger = logger;
        _accepts = new AcceptBackoff(logger);
    }

    /// <summary>Readable when a successor asks.</summary>
    public EventFd Asked { get; } = EventFd.Create();

    /// <summary>Whether a successor asks; any thread may read it.</summary>
    public bool IsAsked => _successor is not null;

    /// <summary>Listens at a path.</summary>
    /// <exception cref="VfioException">EADDRINUSE: another server listens there.</exception>
    internal static UnixListener Listen(string path) => UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

    internal void Start()
    {
        _isStopping = false;
        _stop.Drain();
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio-user handover" };
        _thread.Start();
    }

    /// <summary>Stops accepting; a successor that asks now is refused.</summary>
    internal void Stop()
    {
        Interrupt();
        Refuse("it ends");
        _thread?.Join();
    }

    /// <summary>Ends the wait for a successor, from any thread; what it has sent until now still counts.</summary>
    internal void Interrupt()
    {
        _isStopping = true;
        _stop.Signal();
        lock (_talks)
        {
            _meeting?.Shutdown();
            if (_isGiving)
                _successor?.Shutdown();
        }
    }

    /// <summary>Starts the contents of a handover with the sockets.</summary>
    public HandoverWriter Begin()
    {
        HandoverWriter to = new();
        Write(to, _served);
        Write(to, _listener);
        return to;
    }

    /// <summary>Sends the contents to the successor, and waits for its answer.</summary>
    /// <returns>False when it did not take over: this server continues, and the next successor may ask.</returns>
    public bool TryGive(HandoverWriter contents)
    {
        if (_successor is not { } successor)
            return false;
        lock (_talks)
            _isGiving = true;
        string? why = "it ends";
        bool isTaken = !_isStopping && successor.TryGive(contents, GiveTimeout, out why);
        if (isTaken)
        {
            _served.LeaveFile();
            _listener.LeaveFile();

            // A successor that asks from here on asks the new server.
            _isStopping = true;
            ServerLog.HandedOver(_logger);
        }

        else
        {
            ServerLog.NotHandedOver(_logger, why!);
        }

        Finish();
        return isTaken;
    }

    /// <summary>Refuses the successor that asks, if any, with a reason; the next may ask.</summary>
    public void Refuse(string why)
    {
        if (_successor is not { } successor)
            return;
        successor.Refuse(why);
        ServerLog.NotHandedOver(_logger, why);
        Finish();
    }

    /// <summary>Removes the socket's file, even while a thread still uses this.</summary>
    internal void RemoveFile() => _listener.RemoveFile();

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        _stop.Dispose();
        Asked.Dispose();
        _isAnswered.Dispose();
    }

    private static void Write(HandoverWriter to, UnixListener listener)
    {
        to.Write(listener.Path is string path ? Path.GetFullPath(path) : null);
        to.Write(listener.Descriptor);
    }

    private void Finish()
    {
        Asked.Drain();
        lock (_talks)
        {
            _isGiving = false;
            if (Interlocked.Exchange(ref _successor, null) is not { } successor)
                return;
            successor.Dispose();
        }

        _isAnswered.Release();
    }

    private void Run()
    {
        Span<bool> ready = [false, false];
        while (!_isStopping)
        {
            if (Poll.WaitAny([_listener.Descriptor, _stop.Descriptor], ready, Timeout.InfiniteTimeSpan) == 0 || !ready[0])
                continue;
            if (TryMeet() is not { } successor)
                continue;

            // In this order, so that no signal of an answered successor remains.
            Asked.Signal();
            _successor = successor;
            if (_isStopping)
                Refuse("it ends");
            _isAnswered.Wait();
        }
    }

    private HandoverExchange? TryMeet()
    {
        HandoverExchange? talk = null;
        try
        {
            UnixSocket? socket = _accepts.TryAccept(_listener, _stop);
            if (socket is null)
                return null;
            talk = new HandoverExchange(socket);
            lock (_talks)
                _meeting = talk;
            if (!talk.IsTrusted)
                throw new VfioException("handover", "a successor", Errno.AccessDenied, $"user {socket.PeerUserId} may not take over");
            talk.Receive(HandoverKind.Ask, new Deadline(_isStopping ? TimeSpan.Zero : AskTimeout)).Dispose();
            return talk;
        }
        catch (VfioException refusal)
        {
            talk?.Refuse(refusal.Message);
            lock (_talks)
            {
                _meeting = null;
                talk?.Dispose();
            }

            ServerLog.NotHandedOver(_logger, refusal.Message);
            return null;
        }
        finally
        {
            lock (_talks)
                _meeting = null;
        }
    }
}
