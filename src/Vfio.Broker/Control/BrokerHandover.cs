using Microsoft.Extensions.Logging;
using Vfio.Broker.Leases;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.Broker.Control;

/// <summary>The socket where a broker waits for the one that takes over from it: the same user's, or root's.</summary>
/// <remarks>
/// <para>The messages are those of a server's handover (<see cref="HandoverKind"/>), once for each lease, and once at the end for the sockets: a
/// Give whose first byte is 1 for a lease, 0 for the sockets. Until the last is confirmed, this broker has what the other did not take.</para>
/// <para>The handover socket is handed over too, so a later successor finds the broker that is there then.</para>
/// </remarks>
internal sealed class BrokerHandover : IDisposable
{
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(5);
    private readonly UnixListener _listener;
    private readonly LeaseTable _leases;
    private readonly ControlServer _control;
    private readonly ILogger _logger;
    private readonly Action _departed;
    private readonly EventFd _stop = EventFd.Create();
    private readonly AcceptBackoff _accepts;
    private readonly Thread _thread;
    private volatile bool _isStopping;

    /// <summary>Listens.</summary>
    /// <param name="listener">The socket; owned.</param>
    /// <param name="leases">What is handed over.</param>
    /// <param name="control">The socket where users ask, which is handed over too.</param>
    /// <param name="logger">Each handover is logged there.</param>
    /// <param name="departed">Called once, when all is another broker's.</param>
    internal BrokerHandover(UnixListener listener, LeaseTable leases, ControlServer control, ILogger logger, Action departed)
    {
        _listener = listener;
        _leases = leases;
        _control = control;
        _logger = logger;
        _departed = departed;
        _accepts = new AcceptBackoff(logger);
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio broker handover" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isStopping = true;
        _stop.Signal();
        if (Thread.CurrentThread != _thread)
            _thread.Join();
        _listener.Dispose();
        _stop.Dispose();
    }

    /// <summary>Writes a socket that listens.</summary>
    private static void Write(HandoverWriter to, UnixListener listener)
    {
        to.Write(listener.Path is string path ? Path.GetFullPath(path) : null);
        to.Write(listener.Descriptor);
    }

    private void Run()
    {
        Span<bool> ready = [false, false];
        while (!_isStopping)
        {
            if (Poll.WaitAny([_listener.Descriptor, _stop.Descriptor], ready, Timeout.InfiniteTimeSpan) == 0 || !ready[0])
                continue;
            if (_accepts.TryAccept(_listener, _stop) is not { } socket)
                continue;
            using HandoverExchange successor = new(socket);
            try
            {
                if (!successor.IsTrusted)
                    throw new VfioException("handover", "a successor", Errno.AccessDenied, $"user {socket.PeerUserId} may not take over");
                successor.Receive(HandoverKind.Ask, new Deadline(AskTimeout)).Dispose();
                HandOver(successor);
                _departed();
                return;
            }
            catch (Exception refusal)
            {
                // Whatever it was, this broker goes on.
                successor.Refuse(refusal.Message);
                BrokerLog.NotHandedOver(_logger, refusal.Message);
            }
        }
    }

    private void HandOver(HandoverExchange successor)
    {
        _control.Pause();
        bool isDone = false;
        try
        {
            _leases.HandOver(successor);
            HandoverWriter to = new();
            to.Write(false);
            to.Write(_leases.LastId);
            Write(to, _control.Listener);
            Write(to, _listener);
            if (!LeaseHandover.TryGive(successor, to))
            {
                _leases.StayHere();
                throw new VfioException("handover", "the successor", Errno.ConnectionReset, "it did not take the sockets");
            }

            isDone = true;
        }
        finally
        {
            if (!isDone)
                _control.Continue();
        }

        _control.LeaveFile();
        _listener.LeaveFile();
        BrokerLog.HandedOver(_logger);
    }
}
