using System.Threading.Tasks.Sources;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Driver;

/// <summary>The one asynchronous wait that an eventfd has at a time; reused, so that waiting allocates nothing.</summary>
internal sealed class InterruptWait(EventFd signal, string name) : IValueTaskSource, IValueTaskSource<bool>
{
    private static readonly TimerCallback OnTime = static self => ((InterruptWait)self!).EndInTime();

    private static readonly Action<object?, CancellationToken> OnCancelled = static (self, token) =>
        ((InterruptWait)self!).End(new OperationCanceledException(token));

    /// <summary>The one thread of this process for the interrupts that somebody waits for asynchronously.</summary>
    internal static readonly EventLoop Loop = new("vfio interrupts");

    private readonly Lock _lock = new();
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private Timer? _timer;
    private Deadline _deadline = Deadline.Never;
    private State _state;
    private EventRegistration? _watch;
    private bool _closed;

    private enum State
    {
        Idle,
        Waiting,
        Ended,
    }

    /// <summary>Starts a wait; it is complete when the eventfd was signalled before.</summary>
    /// <exception cref="InvalidOperationException">Another wait is not complete, or was not awaited.</exception>
    internal ValueTask Start(CancellationToken cancellationToken) => Begin(Deadline.Never, cancellationToken) is { } wait
        ? new ValueTask(this, wait)
        : ValueTask.CompletedTask;

    /// <summary>As the other, with a deadline; the result says whether the eventfd was signalled in time.</summary>
    internal ValueTask<bool> Start(Deadline end, CancellationToken cancellationToken) => Begin(end, cancellationToken) is { } wait
        ? new ValueTask<bool>(this, wait)
        : new ValueTask<bool>(true);

    /// <summary>Ends the wait under way, and refuses others.</summary>
    /// <returns>False when it was closed before.</returns>
    internal bool Close()
    {
        EventRegistration? watch;
        lock (_lock)
        {
            if (_closed)
                return false;
            _closed = true;
            watch = _watch;
            _timer?.Dispose();
        }

        watch?.Dispose();
        End(new ObjectDisposedException(nameof(Interrupt)));
        return true;
    }

    /// <inheritdoc/>
    void IValueTaskSource.GetResult(short token) => GetResult(token);

    /// <inheritdoc/>
    bool IValueTaskSource<bool>.GetResult(short token) => GetResult(token);

    /// <inheritdoc/>
    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    /// <inheritdoc/>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    /// <summary>Starts a wait.</summary>
    /// <returns>Its number; null when it is complete already.</returns>
    private short? Begin(Deadline end, CancellationToken cancellationToken)
    {
        short wait;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed, typeof(Interrupt));
            if (_state != State.Idle)
                throw new InvalidOperationException($"{name} has a waiter already");
            if (signal.Drain() != 0)
                return null;
            Watch();
            SetTime(end);
            _core.Reset();
            _state = State.Waiting;
            wait = _core.Version;
        }

        // Outside the lock: a token that is cancelled by now calls back from inside Register. The wait may be complete by
        // then as well; the registration then has no wait and is disposed here.
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(OnCancelled, this);
        lock (_lock)
        {
            if (_state == State.Waiting)
            {
                _cancellation = registration;
                return wait;
            }
        }

        registration.Dispose();
        return wait;
    }

    private bool GetResult(short token)
    {
        lock (_lock)
        {
            if (token == _core.Version && _state == State.Ended)
                _state = State.Idle;
        }

        return _core.GetResult(token);
    }

    /// <summary>Called when the eventfd is readable.</summary>
    private void OnReadable()
    {
        try
        {
            Take();
        }
        catch (VfioException refusal)
        {
            End(refusal);
        }
    }

    /// <summary>Completes the wait if the eventfd was signalled, and continues it otherwise.</summary>
    private void Take()
    {
        CancellationTokenRegistration registration;
        lock (_lock)
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

        Complete(registration, fired: true);
    }

    private void End(Exception reason)
    {
        CancellationTokenRegistration registration;
        lock (_lock)
        {
            if (_state != State.Waiting)
                return;
            registration = TakeEnd();
        }

        registration.Dispose();
        _core.SetException(reason);
    }

    // The timer may fire for an earlier wait that was complete before, or before the deadline, if that is longer than a timer takes: it is
    // never stopped.
    private void EndInTime()
    {
        CancellationTokenRegistration registration;
        lock (_lock)
        {
            if (_state != State.Waiting)
                return;
            if (!_deadline.HasPassed)
            {
                _timer!.Change(_deadline.Left, Timeout.InfiniteTimeSpan);
                return;
            }

            registration = TakeEnd();
        }

        Complete(registration, fired: false);
    }

    private CancellationTokenRegistration TakeEnd()
    {
        CancellationTokenRegistration registration = _cancellation;
        _cancellation = default;
        _state = State.Ended;
        return registration;
    }

    private void Complete(CancellationTokenRegistration registration, bool fired)
    {
        // Waits for a cancellation that is under way on another thread, which could otherwise hit the next wait.
        registration.Dispose();
        _core.SetResult(fired);
    }

    private void SetTime(Deadline end)
    {
        _deadline = end;
        if (_deadline.IsNever)
            return;
        _timer ??= new Timer(OnTime, this, Timeout.Infinite, Timeout.Infinite);
        _timer.Change(_deadline.Left, Timeout.InfiniteTimeSpan);
    }

    private void Watch()
    {
        if (_watch is null)
            _watch = Loop.AddOnce(signal.Descriptor, _ => OnReadable());
        else
            _watch.Arm();
    }
}
