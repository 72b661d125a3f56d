using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.Broker.Leases;

/// <summary>The handover of one lease, with its session, to the next broker.</summary>
/// <remarks>The thread that hands leases over asks; the session's answers, between two messages of its client.</remarks>
/// <param name="lease">The lease.</param>
internal sealed class LeaseHandover(Lease lease) : ISessionHandover, IDisposable
{
    private static readonly TimeSpan GiveTimeout = TimeSpan.FromSeconds(10);
    private readonly Lock _lock = new();
    private HandoverExchange? _successor;
    private TaskCompletionSource<bool>? _answer;
    private bool _isOver;

    /// <inheritdoc/>
    public EventFd Asked { get; } = EventFd.Create();

    /// <inheritdoc/>
    public bool IsAsked => Volatile.Read(ref _successor) is not null;

    /// <summary>Asks the session's thread to hand over.</summary>
    /// <param name="successor">The next broker; this thread does not use it until the answer.</param>
    /// <returns>Complete when it is answered: whether the lease is the successor's now.</returns>
    internal Task<bool> Ask(HandoverExchange successor)
    {
        lock (_lock)
        {
            _answer = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_isOver)
            {
                _answer.SetResult(false);
            }
            else
            {
                Volatile.Write(ref _successor, successor);
                Asked.Signal();
            }

            return _answer.Task;
        }
    }

    /// <summary>The session is over, and can be asked no more.</summary>
    internal void End()
    {
        lock (_lock)
            _isOver = true;
        Answer(false);
    }

    /// <inheritdoc/>
    public HandoverWriter Begin() => Begin(lease);

    /// <inheritdoc/>
    public bool TryGive(HandoverWriter contents)
    {
        if (Volatile.Read(ref _successor) is not { } successor)
            return false;
        bool isTaken = TryGive(successor, contents);

        // Before the session's thread goes on: what it does with a lease that has ended, it must not do.
        lease.HasDeparted = isTaken;
        Answer(isTaken);
        return isTaken;
    }

    /// <inheritdoc/>
    public void Refuse(string why) => Answer(false);

    /// <inheritdoc/>
    public void Dispose() => Asked.Dispose();

    /// <summary>Starts the contents of a lease's handover.</summary>
    internal static HandoverWriter Begin(Lease lease)
    {
        HandoverWriter to = new();
        to.Write(true);
        to.WriteBytes(HandedLease.Write(lease));
        to.WriteOptional(lease.Owner?.Descriptor);
        to.WriteOptional(lease.Listener?.Descriptor);
        return to;
    }

    /// <summary>Sends contents, and waits for the answer.</summary>
    /// <returns>False when the successor did not take them.</returns>
    internal static bool TryGive(HandoverExchange successor, HandoverWriter contents)
    {
        try
        {
            Deadline deadline = new(GiveTimeout);
            if (!successor.TrySend(HandoverKind.Give, contents.Written, contents.Descriptors, deadline))
                return false;
            successor.Receive(HandoverKind.Taken, deadline).Dispose();
            return true;
        }
        catch (VfioException)
        {
            // After this it cannot say anything any more.
            successor.Shutdown();
            return false;
        }
    }

    private void Answer(bool isTaken)
    {
        lock (_lock)
        {
            Asked.Drain();
            Volatile.Write(ref _successor, null);
            _answer?.TrySetResult(isTaken);
        }
    }
}
