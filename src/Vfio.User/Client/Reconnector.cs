using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Providers;

namespace Vfio.User.Client;

/// <summary>Connects again to a server that was lost: checks that the device is the same, and restores mappings, eventfds and
/// decoding.</summary>
/// <remarks>Guarded by the client's lock: a caller that finds the connection lost calls <see cref="Reconnect"/>, and other callers wait. A
/// thread watches the connection, so that a driver which only waits for interrupts is notified too. It raises the event, with no lock
/// held, and frees the resources of the old connection.</remarks>
internal sealed class Reconnector : IDisposable
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(10);
    private readonly object _lock;
    private readonly string _path;
    private readonly string _name;
    private readonly VfioUserClientOptions _options;
    private readonly DmaMappings _mappings;
    private readonly DeviceIdentity _identity;
    private readonly Action _restarted;
    private readonly Action _gone;
    private readonly EventFd _end = EventFd.Create();
    private readonly ManualResetEventSlim _ending = new();
    private readonly List<ServerConnection> _lost = [];
    private readonly List<IDisposable> _shared = [];
    private readonly BackgroundThread _watcher;
    private volatile UnixSocket? _attempt;
    private string? _givenUp;

    /// <summary>Starts to watch a connection.</summary>
    /// <param name="path">The server's socket.</param>
    /// <param name="gate">The client's lock, held now.</param>
    /// <param name="first">The connection.</param>
    /// <param name="mappings">What is mapped.</param>
    /// <param name="options">Limits and timeouts.</param>
    /// <param name="restarted">Called after the server was found again, with no lock held.</param>
    /// <param name="gone">Called when the server was given up, with no lock held.</param>
    internal Reconnector(
        string path, object gate, ServerConnection first, DmaMappings mappings, VfioUserClientOptions options, Action restarted, Action gone)
    {
        _path = path;
        _name = $"unix:{path}";
        _lock = gate;
        _mappings = mappings;
        _options = options;
        _restarted = restarted;
        _gone = gone;
        Connection = first;
        _identity = new DeviceIdentity(first);
        _watcher = new BackgroundThread("vfio-user reconnect", Watch);
    }

    /// <summary>The settings for a server that was restarted.</summary>
    internal ClientState State { get; } = new();

    /// <summary>The current connection.</summary>
    internal ServerConnection Connection { get; private set; }

    /// <summary>How often the server was found again.</summary>
    internal int Restarts { get; private set; }

    /// <summary>Whether the server went away, rather than broke the protocol, so that waiting for it makes sense.</summary>
    internal bool IsLost => Connection.IsLost && !_ending.IsSet;

    /// <summary>Waits for the server and restores all except the device's registers, which were reset.</summary>
    /// <exception cref="VfioException">ETIMEDOUT: it did not come back in time; ENODEV: another device answers there.</exception>
    internal void Reconnect()
    {
        if (_givenUp is not null)
            throw new VfioException("the connection", _name, Errno.ConnectionReset, _givenUp);
        ClientLog.Lost(_options.Logger, _name);
        Deadline deadline = new(_options.ReconnectTimeout);
        while (true)
        {
            try
            {
                Connect(deadline);
                ClientLog.Found(_options.Logger, _name, _mappings.Count);
                return;
            }
            catch (VfioException refusal) when (refusal.Errno != Errno.NoDevice && !deadline.HasPassed && !_ending.IsSet)
            {
                _ending.Wait(RetryAfter);
            }
            catch (VfioException refusal)
            {
                throw GiveUp(refusal);
            }
        }
    }

    /// <summary>Ends an attempt that is under way; from any thread.</summary>
    internal void Stop()
    {
        _ending.Set();
        _end.Signal();
        _attempt?.Shutdown();
    }

    /// <summary>Waits for the thread and frees all but <see cref="Connection"/>; without the lock, after <see cref="Stop"/>.</summary>
    public void Dispose()
    {
        _watcher.Join();
        FreeLost();
        foreach (IDisposable shared in _shared)
            shared.Dispose();
        State.Dispose();
        _end.Dispose();
        _ending.Dispose();
    }

    private void Connect(Deadline deadline)
    {
        UnixSocket socket = UnixSocket.Connect(_path, deadline.Left);
        _attempt = socket;
        ServerConnection? made = null;
        try
        {
            if (_ending.IsSet)
                throw new VfioException("the connection", _name, Errno.Shutdown, "it was closed by this side");
            made = new ServerConnection(socket, _name, _lock, _mappings, _options, deadline);
            if (_identity.FindDifference(new DeviceIdentity(made)) is string difference)
                throw new VfioException("reconnecting", _name, Errno.NoDevice, $"another device answers there: {difference}");
            foreach (DmaMapping mapping in _mappings.All)
                made.Map(mapping);
            State.Replay(made);
            made.EndHandshake();
        }
        catch
        {
            if (made is null)
                socket.Dispose();
            else
                Retire(made);
            throw;
        }
        finally
        {
            _attempt = null;
        }

        Retire(Connection);
        Connection = made;
        Restarts++;
        State.Fire();
    }

    /// <summary>Keeps an old connection for later disposal: its threads need the lock before they end.</summary>
    private void Retire(ServerConnection connection)
    {
        connection.Shutdown();
        connection.Break(Errno.ConnectionReset, "it was given up");
        _lost.Add(connection);
    }

    private VfioException GiveUp(VfioException refusal)
    {
        _givenUp = refusal.Errno == Errno.NoDevice
            ? refusal.Message
            : $"it did not come back within {_options.ReconnectTimeout.TotalSeconds} s: {refusal.Message}";
        ClientLog.GivenUp(_options.Logger, _name, _givenUp);
        return new VfioException("reconnecting", _name, refusal.Errno == Errno.NoDevice ? Errno.NoDevice : Errno.TimedOut, _givenUp);
    }

    private void Watch()
    {
        int told = 0;
        while (!_ending.IsSet)
        {
            ServerConnection watched;
            lock (_lock)
                watched = Connection;
            if (!watched.WaitUntilClosed(_end.Descriptor))
                return;
            bool goesOn;
            lock (_lock)
                goesOn = TryReconnect(watched);
            FreeLost();
            if (!goesOn)
            {
                if (!_ending.IsSet)
                    _gone();
                return;
            }

            if (told < Restarts)
            {
                told = Restarts;
                _restarted();
            }
        }
    }

    private bool TryReconnect(ServerConnection watched)
    {
        if (_ending.IsSet || _givenUp is not null)
            return false;
        if (Connection != watched)
            return true;
        watched.NoteClosed();
        if (!watched.IsLost)
            return false;
        try
        {
            Reconnect();
            return true;
        }
        catch (VfioException)
        {
            // The next call throws the reason.
            return false;
        }
    }

    private void FreeLost()
    {
        ServerConnection[] lost;
        lock (_lock)
        {
            lost = [.. _lost];
            _lost.Clear();
        }

        foreach (ServerConnection connection in lost)
        {
            connection.StopAnswering();
            _shared.AddRange(connection.TakeShared());
            connection.Dispose();
        }
    }
}
