using Microsoft.Extensions.Logging;
using Vfio.Broker.Leases;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Leases;
using Vfio.User.Transport;

namespace Vfio.Broker.Control;

/// <summary>The socket where users ask the broker: accepts, and passes requests on to the leases.</summary>
/// <remarks>One thread for all connections; it waits for none of them. What a user can make it use is bounded: connections in all and of
/// each
/// user, the length of a request, and the time in which one has to come.</remarks>
internal sealed class ControlServer : IDisposable
{
    /// <summary>Bytes of the longest request, its end included.</summary>
    internal const int MaxRequestBytes = 4096;

    /// <summary>The most connections.</summary>
    internal const int MaxConnections = 4096;

    /// <summary>The most connections of one user; root may have all.</summary>
    internal const int MaxConnectionsOfUser = 256;

    private readonly EventLoop _loop;
    private readonly EventFd _stop = EventFd.Create();
    private readonly UnixListener _listener;
    private readonly LeaseTable _leases;
    private readonly TimeSpan _timeout;
    private readonly AcceptBackoff _accepts;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private readonly HashSet<ControlConnection> _connections = [];
    private EventRegistration _listening;

    /// <summary>Starts to accept.</summary>
    /// <param name="listener">The socket; owned.</param>
    /// <param name="leases">What is asked for.</param>
    /// <param name="timeout">How long a connection may send no request, unless a lease depends on it.</param>
    /// <param name="logger">Faults are logged there.</param>
    internal ControlServer(UnixListener listener, LeaseTable leases, TimeSpan timeout, ILogger logger)
    {
        _listener = listener;
        _leases = leases;
        _timeout = timeout;
        _logger = logger;
        _accepts = new AcceptBackoff(logger);
        _loop = new EventLoop("vfio broker", failure => BrokerLog.RequestFailed(logger, failure));
        _listening = _loop.Add(listener.Descriptor, _ => Accept());
    }

    /// <summary>The loop, for what else has to run only as long as requests are answered.</summary>
    internal EventLoop Loop => _loop;

    /// <summary>Ends connections that are over their time.</summary>
    /// <returns>When to call it again at the latest; never where there is none.</returns>
    internal Deadline Check()
    {
        ControlConnection[] connections;
        lock (_lock)
            connections = [.. _connections];
        foreach (ControlConnection connection in connections.Where(connection => connection.IsOverTime))
            connection.Shutdown();
        return connections.Any(connection => connection.Lease is null) ? new Deadline(_timeout / 2) : Deadline.Never;
    }

    /// <summary>Called when <see cref="Check"/> may be due earlier than it said.</summary>
    internal Action? Changed { get; set; }

    /// <summary>The socket, to be handed over.</summary>
    internal UnixListener Listener => _listener;

    /// <summary>Accepts no more, as another broker will: who connects meanwhile waits for it.</summary>
    internal void Pause() => _listening.Dispose();

    /// <summary>Accepts again.</summary>
    internal void Continue() => _listening = _loop.Add(_listener.Descriptor, _ => Accept());

    /// <summary>The socket is another broker's.</summary>
    internal void LeaveFile() => _listener.LeaveFile();

    /// <summary>Takes a connection of another broker over, with the lease that ends with it.</summary>
    /// <param name="descriptor">The connection; owned.</param>
    /// <param name="lease">The lease.</param>
    internal void Adopt(FileDescriptor descriptor, Lease lease)
    {
        UnixSocket socket = new(descriptor);
        ControlConnection connection = new(new LineSocket(socket, MaxRequestBytes), lease.Holder, _timeout, Handle, Closed) { Lease = lease };
        lease.Owner = connection;
        lock (_lock)
            _connections.Add(connection);
        connection.Watch(_loop);
    }

    /// <summary>Stops accepting, and removes the socket's file.</summary>
    internal void StopListening()
    {
        _listening.Dispose();
        _listener.RemoveFile();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Signal();
        _loop.Dispose();
        ControlConnection[] connections;
        lock (_lock)
            connections = [.. _connections];
        foreach (ControlConnection connection in connections)
            connection.Close();
        _listener.Dispose();
        _stop.Dispose();
    }

    private void Accept()
    {
        if (_accepts.TryAccept(_listener, _stop) is not { } socket)
            return;
        ControlConnection? connection = null;
        try
        {
            Caller caller = Caller.Of(socket);
            LineSocket lines = new(socket, MaxRequestBytes);
            connection = new ControlConnection(lines, caller, _timeout, Handle, Closed);
            bool isFull;
            lock (_lock)
            {
                // Whoever fills all places keeps out neither root nor the broker's own user.
                isFull = caller.UserId != 0 && caller.UserId != UserAccount.CurrentId
                    && (_connections.Count >= MaxConnections
                        || _connections.Count(other => other.Caller.UserId == caller.UserId) >= MaxConnectionsOfUser);
                _connections.Add(connection);
            }

            if (isFull)
            {
                connection.TryAnswer(new BrokerReply { Errno = (int)Errno.TryAgain, Reason = "this user has too many connections to the broker; close some" });
                connection.Close();
                return;
            }

            connection.Watch(_loop);
            Changed?.Invoke();
        }
        catch (VfioException)
        {
            // It is gone by now, or no descriptor is left to watch it with.
            if (connection is null)
                socket.Dispose();
            else
                connection.Close();
        }
    }

    private void Handle(ControlConnection connection, BrokerRequest request)
    {
        try
        {
            Do(connection, request);
        }
        catch (Exception failure)
        {
            // A fault of this process: other requests are answered.
            BrokerLog.RequestFailed(_logger, failure);
            connection.TryAnswer(new BrokerReply { Errno = (int)Errno.InputOutput, Reason = "the broker failed; its log has the reason" });
        }
    }

    private void Do(ControlConnection connection, BrokerRequest request)
    {
        switch (request)
        {
            case { Do: BrokerVerbs.Open, Name: { Length: > 0 } name, Lease: null, After: null, Now: null }:
                _leases.Give(connection, name, isHeld: false);
                break;
            case { Do: BrokerVerbs.Hold, Name: { Length: > 0 } name, Lease: null, After: null, Now: null } when connection.Lease is null:
                _leases.Give(connection, name, isHeld: true);
                break;
            case { Do: BrokerVerbs.Listen, Name: null, Lease: null, After: null, Now: null } when connection.Lease is { } held:
                Listen(connection, held);
                break;
            case { Do: BrokerVerbs.Leases, Name: null, Lease: null, Now: null }:
                _leases.List(connection, request.After ?? 0);
                break;
            case { Do: BrokerVerbs.Revoke, Name: null, Lease: int lease, After: null }:
                _leases.Revoke(connection, lease, request.Now ?? false);
                break;
            default:
                connection.TryAnswer(new BrokerReply { Errno = (int)Errno.InvalidArgument, Reason = "the broker knows no such request" });
                break;
        }
    }

    private void Listen(ControlConnection connection, Lease lease)
    {
        try
        {
            if (connection.TakeDescriptor() is not { } descriptor)
                throw new VfioException("listening", "a socket", Errno.InvalidArgument, "no socket came with the request");
            UnixListener listener = UnixListener.FromDescriptor(descriptor);
            if (!listener.IsUnixStream)
            {
                listener.Dispose();
                throw new VfioException("listening", "a socket", Errno.InvalidArgument, "it is no UNIX stream socket");
            }

            _leases.Listen(lease, listener, _loop);
            connection.TryAnswer(new BrokerReply());
        }
        catch (VfioException refusal)
        {
            connection.TryAnswer(new BrokerReply { Errno = (int)refusal.Errno, Reason = refusal.Message });
        }
    }

    private void Closed(ControlConnection connection)
    {
        lock (_lock)
            _connections.Remove(connection);
        if (connection.Lease is { } lease)
            _leases.End(lease, "its holder closed the connection to the broker");
    }
}
