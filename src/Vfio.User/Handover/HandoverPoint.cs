using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Server;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Handover;

/// <summary>Where a server waits for its successor, a process of a newer version, to go on in its place.</summary>
/// <remarks>
/// <para>A thread of its own meets who asks: the same user and root alone may. The thread that serves gives, between two messages, or
/// says why not; see <see cref="HandoverKind"/> for what is said.</para>
/// <para>The place itself goes along too, so whoever asks next, however soon, finds the server of then.</para>
/// </remarks>
internal sealed class HandoverPoint : IDisposable, IThreadRequest
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

    /// <summary>Waits, from <see cref="Start"/> on.</summary>
    /// <param name="listener">Where; owned.</param>
    /// <param name="served">The server's listening socket; the caller keeps it.</param>
    /// <param name="logger">Told of every handover.</param>
    internal HandoverPoint(UnixListener listener, UnixListener served, ILogger logger)
    {
        _listener = listener;
        _served = served;
        _logger = logger;
        _accepts = new AcceptBackoff(logger);
    }

    /// <summary>Readable when a successor asks.</summary>
    internal EventFd Asked { get; } = EventFd.Create();

    /// <summary>Whether a successor asks; any thread may look.</summary>
    public bool IsAsked => _successor is not null;

    /// <summary>Waits at a path.</summary>
    /// <exception cref="VfioException">EADDRINUSE: somebody else waits there.</exception>
    internal static UnixListener Listen(string path) => UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

    internal void Start()
    {
        _isStopping = false;
        _stop.Drain();
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio-user handover" };
        _thread.Start();
    }

    /// <summary>Meets nobody any more; who asks now is refused.</summary>
    internal void Stop()
    {
        Interrupt();
        Refuse("it ends");
        _thread?.Join();
    }

    /// <summary>Ends what another process is waited for, from any thread; what it said until now still counts.</summary>
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

    /// <summary>Begins what the successor will get: the sockets.</summary>
    internal HandoverWriter Begin()
    {
        HandoverWriter to = new();
        Write(to, _served);
        Write(to, _listener);
        return to;
    }

    /// <summary>Gives all there is to who asks, and waits until it goes on.</summary>
    /// <returns>False when it does not: this server does, and the next may ask.</returns>
    internal bool TryGive(HandoverWriter contents)
    {
        if (_successor is not { } successor)
            return false;
        lock (_talks)
            _isGiving = true;
        string? why = "it ends";
        bool isTaken = !_isStopping && TryGive(successor, contents, out why);
        if (isTaken)
        {
            _served.LeaveFile();
            _listener.LeaveFile();

            // Who asks from here on asks the successor.
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

    /// <summary>Says why not to who asks, if anybody does; the next may ask.</summary>
    internal void Refuse(string why)
    {
        if (_successor is not { } successor)
            return;
        successor.Refuse(why);
        ServerLog.NotHandedOver(_logger, why);
        Finish();
    }

    /// <summary>Removes the place's file, though somebody may still be in here.</summary>
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

    private static bool TryGive(HandoverExchange successor, HandoverWriter contents, [NotNullWhen(false)] out string? why)
    {
        Deadline deadline = new(GiveTimeout);
        why = null;
        try
        {
            if (successor.TrySend(HandoverKind.Give, contents.Written, contents.Descriptors, deadline))
            {
                successor.Receive(HandoverKind.Taken, deadline).Dispose();
                return true;
            }

            why = "the successor does not take it";
            return false;
        }
        catch (VfioException refusal) when (refusal.Errno != Errno.TimedOut)
        {
            why = refusal.Message;
            return false;
        }
        catch (VfioException)
        {
            // What it said until now counts; after this it cannot say anything.
            successor.Shutdown();
        }

        try
        {
            successor.Receive(HandoverKind.Taken, new Deadline(TimeSpan.Zero)).Dispose();
            return true;
        }
        catch (VfioException refusal)
        {
            why = refusal.Message;
            return false;
        }
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

            // In this order, so that no signal is left of a successor that was answered.
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
                throw new VfioException("handover", "a successor", Errno.AccessDenied, $"user {socket.PeerUserId} asked, who may not");
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
