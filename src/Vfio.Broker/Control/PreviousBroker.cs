using Vfio.Broker.Leases;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.Broker.Control;

/// <summary>The broker that this one takes over from.</summary>
internal sealed class PreviousBroker : IDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);
    private readonly HandoverExchange _talk;
    private readonly string _path;
    private readonly List<(Lease Lease, FileDescriptor? Owner, FileDescriptor? Listener)> _taken = [];

    private PreviousBroker(HandoverExchange talk, string path) => (_talk, _path) = (talk, path);

    /// <summary>What was taken over: each lease, the connection that it ends with, and the socket whose clients get its device.</summary>
    internal IReadOnlyList<(Lease Lease, FileDescriptor? Owner, FileDescriptor? Listener)> Taken => _taken;

    /// <summary>Asks the broker that waits at a path.</summary>
    /// <exception cref="VfioException">No broker waits there, or another user's.</exception>
    internal static PreviousBroker Ask(string path)
    {
        HandoverExchange talk = new(UnixSocket.Connect(path, LongestWait));
        try
        {
            if (!talk.IsTrusted)
                throw new VfioException("taking over", path, Errno.AccessDenied, "another user listens there");
            talk.TrySend(HandoverKind.Ask, default, [], new Deadline(LongestWait));
            return new PreviousBroker(talk, path);
        }
        catch
        {
            talk.Dispose();
            throw;
        }
    }

    /// <summary>Takes all leases over, and then the sockets.</summary>
    /// <param name="leases">Gets the leases.</param>
    /// <param name="control">The socket where users ask.</param>
    /// <param name="next">The socket for the next broker.</param>
    /// <exception cref="VfioException">It refused, or something could not be taken over: the other broker has that still.</exception>
    internal void TakeAll(LeaseTable leases, out UnixListener control, out UnixListener next)
    {
        try
        {
            while (true)
            {
                HandoverReader from = _talk.Receive(HandoverKind.Give, new Deadline(LongestWait));
                if (from.ReadBool())
                {
                    _taken.Add(leases.TakeOver(from, Accept));
                    continue;
                }

                using (from)
                {
                    leases.LastId = from.ReadCount(int.MaxValue);
                    control = ReadListener(from);
                    next = ReadListener(from);
                    from.End();
                    Accept();
                    return;
                }
            }
        }
        catch (VfioException refusal)
        {
            _talk.Refuse(refusal.Message);
            throw new VfioException("taking over", _path, refusal.Errno, refusal.Message);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _talk.Dispose();

    private static UnixListener ReadListener(HandoverReader from)
    {
        string? path = from.ReadText();
        return UnixListener.FromDescriptor(from.TakeDescriptor(), path);
    }

    private void Accept()
    {
        if (!_talk.TrySend(HandoverKind.Taken, default, [], new Deadline(TimeSpan.FromSeconds(1))))
            throw new VfioException("taking over", "the other broker", Errno.TimedOut, "it did not wait, and continues by itself");
    }
}
