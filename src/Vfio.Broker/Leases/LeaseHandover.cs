using Vfio.Native;
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
    private TaskCompletionSource<HandoverAnswer>? _answer;
    private bool _isOver, _isGiving;

    /// <inheritdoc/>
    public EventFd Asked { get; } = EventFd.Create();

    /// <inheritdoc/>
    public bool IsAsked => Volatile.Read(ref _successor) is not null;

    /// <summary>Why the device or its client refused last; null when neither did.</summary>
    internal string? Refusal { get; private set; }

    /// <summary>Asks the session's thread to hand over.</summary>
    /// <param name="successor">The next broker; this thread does not use it until the answer.</param>
    /// <returns>Complete when it is answered.</returns>
    internal Task<HandoverAnswer> Ask(HandoverExchange successor)
    {
        lock (_lock)
        {
            _answer = new TaskCompletionSource<HandoverAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_isOver)
            {
                _answer.SetResult(HandoverAnswer.Over);
            }
            else
            {
                Volatile.Write(ref _successor, successor);
                Asked.Signal();
            }

            return _answer.Task;
        }
    }

    /// <summary>Asks no more, unless the session's thread speaks with the successor already, which it does for a limited time.</summary>
    /// <returns>Whether the session was not, and will not be, handed over.</returns>
    internal bool TryWithdraw()
    {
        lock (_lock)
        {
            if (_isGiving || _answer is null or { Task.IsCompleted: true })
                return false;
            Asked.Drain();
            Volatile.Write(ref _successor, null);
            _answer.TrySetResult(HandoverAnswer.Refused);
            return true;
        }
    }

    /// <summary>The session is over, and can be asked no more.</summary>
    internal void End()
    {
        lock (_lock)
            _isOver = true;
        Answer(HandoverAnswer.Over);
    }

    /// <inheritdoc/>
    public HandoverWriter Begin() => Begin(lease);

    /// <inheritdoc/>
    public bool TryGive(HandoverWriter contents)
    {
        HandoverExchange? successor;
        lock (_lock)
        {
            successor = _successor;
            _isGiving = successor is not null;
        }

        if (successor is null)
            return false;
        bool isTaken = TryGive(successor, contents);

        // Before the session's thread goes on: what it does with a lease that has ended, it must not do.
        lease.HasDeparted = isTaken;
        Answer(isTaken ? HandoverAnswer.Taken : HandoverAnswer.NotTaken);
        return isTaken;
    }

    /// <inheritdoc/>
    public void Refuse(string why)
    {
        Refusal = why;
        Answer(HandoverAnswer.Refused);
    }

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
    internal static bool TryGive(HandoverExchange successor, HandoverWriter contents) => successor.TryGive(contents, GiveTimeout, out _);

    private void Answer(HandoverAnswer answer)
    {
        lock (_lock)
        {
            Asked.Drain();
            _isGiving = false;
            Volatile.Write(ref _successor, null);
            _answer?.TrySetResult(answer);
        }
    }
}

/// <summary>What became of a lease that was to be handed over.</summary>
internal enum HandoverAnswer
{
    /// <summary>The successor has it.</summary>
    Taken,

    /// <summary>The successor did not take it; it goes on here.</summary>
    NotTaken,

    /// <summary>Its device or its client does not allow it now.</summary>
    Refused,

    /// <summary>Its session had ended.</summary>
    Over,
}
