using System.Threading.Tasks.Sources;
using Vfio.Native;

namespace Vfio;

/// <summary>The one asynchronous wait that an eventfd has at a time; used again for the next, so that waiting allocates nothing.</summary>
internal sealed class InterruptWait(EventFd signal, string name) : IValueTaskSource
{
    private static readonly Action<object?, CancellationToken> OnCancelled = static (self, token) =>
        ((InterruptWait)self!).End(new OperationCanceledException(token));

    private readonly Lock _gate = new();
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private State _state;
    private ulong _watch;
    private bool _closed;

    private enum State
    {
        Idle,
        Waiting,
        Ended,
    }

    internal FileDescriptor Descriptor => signal.Descriptor;

    /// <summary>Starts a wait; it is over already when the eventfd was signalled before.</summary>
    /// <exception cref="InvalidOperationException">Another one is not over, or was not awaited.</exception>
    internal ValueTask Start(CancellationToken cancellationToken)
    {
        ValueTask waiting;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, typeof(Interrupt));
            if (_state != State.Idle)
                throw new InvalidOperationException($"{name} has a waiter already");
            if (signal.Drain() != 0)
                return ValueTask.CompletedTask;
            Watch();
            _core.Reset();
            _state = State.Waiting;
            waiting = new ValueTask(this, _core.Version);
        }

        // Outside the lock: a token that is cancelled by now calls back from inside Register. The wait may be over by
        // then as well; the registration then belongs to nobody and is let go here.
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(OnCancelled, this);
        lock (_gate)
        {
            if (_state == State.Waiting)
            {
                _cancellation = registration;
                return waiting;
            }
        }

        registration.Dispose();
        return waiting;
    }

    /// <summary>The poller saw the eventfd readable.</summary>
    internal void OnReadable()
    {
        CancellationTokenRegistration registration;
        lock (_gate)
        {
            if (_state != State.Waiting || _closed)
                return;
            if (signal.Drain() == 0)
            {
                Watch();
                return;
            }

            // In the same lock as the drain: a cancellation in between would lose the interrupt.
            registration = TakeEnd();
        }

        Complete(registration, null);
    }

    /// <summary>Ends the wait under way, and refuses others.</summary>
    /// <returns>False when that was done before.</returns>
    internal bool Close()
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            _closed = true;
            if (_watch != 0)
                InterruptPoller.Shared.Remove(this, _watch);
        }

        End(new ObjectDisposedException(nameof(Interrupt)));
        return true;
    }

    /// <inheritdoc/>
    void IValueTaskSource.GetResult(short token)
    {
        lock (_gate)
        {
            if (token == _core.Version && _state == State.Ended)
                _state = State.Idle;
        }

        _ = _core.GetResult(token);
    }

    /// <inheritdoc/>
    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    /// <inheritdoc/>
    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private void End(Exception reason)
    {
        CancellationTokenRegistration registration;
        lock (_gate)
        {
            if (_state != State.Waiting)
                return;
            registration = TakeEnd();
        }

        Complete(registration, reason);
    }

    private CancellationTokenRegistration TakeEnd()
    {
        CancellationTokenRegistration registration = _cancellation;
        _cancellation = default;
        _state = State.Ended;
        return registration;
    }

    private void Complete(CancellationTokenRegistration registration, Exception? error)
    {
        // Waits for a cancellation that is under way on another thread, which could otherwise hit the next wait.
        registration.Dispose();
        if (error is null)
            _core.SetResult(true);
        else
            _core.SetException(error);
    }

    private void Watch()
    {
        if (_watch == 0)
            _watch = InterruptPoller.Shared.Add(this);
        else
            InterruptPoller.Shared.Arm(this, _watch);
    }
}
