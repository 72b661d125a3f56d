using System.Threading.Tasks.Sources;
using Vfio.Native;

namespace Vfio;

/// <summary>One interrupt vector of a device, bound to an eventfd.</summary>
/// <remarks>
/// <para>It is remembered when it fires while nobody waits, and how often does not matter: a driver looks at its device after each
/// wait and handles all that it finds. After that it calls <see cref="Rearm"/>: INTx stays masked until then.</para>
/// <para>Any thread may use it, but only one waits at a time.</para>
/// </remarks>
public sealed class Interrupt : IDisposable, IValueTaskSource
{
    private static readonly Action<object?, CancellationToken> CancelWait = static (self, token) =>
        ((Interrupt)self!).Cancel(new OperationCanceledException(token));
    private readonly IVfioDevice _device;
    private readonly InterruptInfo _kind;
    private readonly EventFd _event;
    private readonly Lock _gate = new();
    private ManualResetValueTaskSourceCore<bool> _wait = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private WaitState _state;
    private ulong _watch;
    private bool _disposed;

    internal Interrupt(IVfioDevice device, InterruptInfo kind, int vector)
    {
        _device = device;
        _kind = kind;
        Vector = vector;
        _event = EventFd.Create();
    }

    private enum WaitState
    {
        Idle,
        Waiting,
        Completed,
    }

    /// <summary>Which kind of interrupt.</summary>
    public InterruptIndex Kind => _kind.Index;

    /// <summary>Which vector of its kind, from 0.</summary>
    public int Vector { get; }

    /// <summary>The eventfd, for a poll loop of one's own; lent.</summary>
    public EventFd Event => _event;

    /// <summary>Waits until the vector fires, or returns at once when it has fired since the last wait.</summary>
    /// <param name="timeout">How long; zero only asks; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>False when the time ran out first.</returns>
    public bool Wait(TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _event.Wait(timeout);
    }

    /// <summary>Waits until the vector fires; no thread is blocked meanwhile.</summary>
    /// <remarks>Allocates nothing once warm. The result is awaited once, before the next wait.</remarks>
    /// <exception cref="InvalidOperationException">Somebody waits already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; an interrupt that comes later is kept for the next wait.</exception>
    public ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        ValueTask waiting;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_state != WaitState.Idle)
                throw new InvalidOperationException($"{this} of {_device.Name} has a waiter already");
            if (_event.Drain() != 0)
                return ValueTask.CompletedTask;
            Watch();
            _wait.Reset();
            _state = WaitState.Waiting;
            waiting = new ValueTask(this, _wait.Version);
        }

        // Outside the lock: a token that is cancelled by now calls back from inside Register. The wait may be over by
        // then as well; the registration then belongs to nobody and is let go here.
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(CancelWait, this);
        lock (_gate)
        {
            if (_state == WaitState.Waiting)
            {
                _cancellation = registration;
                return waiting;
            }
        }

        registration.Dispose();
        return waiting;
    }

    /// <summary>Lets the vector fire again once its cause is handled: unmasks INTx; the other kinds need nothing.</summary>
    /// <remarks>If the device still asserts the pin, it fires at once.</remarks>
    public void Rearm()
    {
        if ((_kind.Flags & InterruptFlags.AutoMasked) != 0)
            Unmask();
    }

    /// <summary>Holds the vector back. Only kinds with <see cref="InterruptFlags.Maskable"/> can be.</summary>
    /// <exception cref="VfioException">EINVAL: this kind cannot be masked.</exception>
    public void Mask() => Act(InterruptAction.Mask);

    /// <summary>Lets the vector through again.</summary>
    /// <exception cref="VfioException">EINVAL: this kind cannot be masked.</exception>
    public void Unmask() => Act(InterruptAction.Unmask);

    /// <summary>Fires the vector as if the device had: for tests of a driver.</summary>
    public void Trigger() => Act(InterruptAction.Trigger);

    /// <summary>Forgets that the vector has fired.</summary>
    public void Forget() => _event.Drain();

    /// <summary>Takes the eventfd away from the vector; who waits gets an <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        if (!Close())
            return;
        try
        {
            _device.SetInterrupts(InterruptRequest.Bind(Kind, InterruptAction.Trigger, Vector, [null]));
        }
        catch (VfioException)
        {
            // A device that is gone, or whose interrupts are off as a whole, has nothing bound any more.
        }
        finally
        {
            _event.Dispose();
        }
    }

    /// <summary>The kind and the vector: <c>MSI-X vector 3</c>.</summary>
    public override string ToString() => $"{Kind} vector {Vector}";

    /// <inheritdoc/>
    void IValueTaskSource.GetResult(short token)
    {
        lock (_gate)
        {
            if (token == _wait.Version && _state == WaitState.Completed)
                _state = WaitState.Idle;
        }

        _ = _wait.GetResult(token);
    }

    /// <inheritdoc/>
    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _wait.GetStatus(token);

    /// <inheritdoc/>
    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    /// <summary>Frees the eventfd when the vectors were unbound as a whole.</summary>
    internal void DisposeUnbound()
    {
        if (Close())
            _event.Dispose();
    }

    /// <summary>The poller saw the eventfd readable.</summary>
    internal void OnReadable()
    {
        CancellationTokenRegistration registration;
        lock (_gate)
        {
            if (_state != WaitState.Waiting || _disposed)
                return;
            if (_event.Drain() == 0)
            {
                Watch();
                return;
            }

            // In the same lock as the drain: a cancellation in between would lose the interrupt.
            registration = EndWait();
        }

        Complete(registration, null);
    }

    private void Act(InterruptAction action) => _device.SetInterrupts(InterruptRequest.ForAll(Kind, action, Vector, 1));

    private void Cancel(Exception reason)
    {
        CancellationTokenRegistration registration;
        lock (_gate)
        {
            if (_state != WaitState.Waiting)
                return;
            registration = EndWait();
        }

        Complete(registration, reason);
    }

    private CancellationTokenRegistration EndWait()
    {
        CancellationTokenRegistration registration = _cancellation;
        _cancellation = default;
        _state = WaitState.Completed;
        return registration;
    }

    private void Complete(CancellationTokenRegistration registration, Exception? error)
    {
        // Waits for a cancellation that is under way on another thread, which could otherwise hit the next wait.
        registration.Dispose();
        if (error is null)
            _wait.SetResult(true);
        else
            _wait.SetException(error);
    }

    private void Watch()
    {
        if (_watch == 0)
            _watch = InterruptPoller.Shared.Add(this);
        else
            InterruptPoller.Shared.Arm(this, _watch);
    }

    private bool Close()
    {
        lock (_gate)
        {
            if (_disposed)
                return false;
            _disposed = true;
            if (_watch != 0)
                InterruptPoller.Shared.Remove(this, _watch);
        }

        Cancel(new ObjectDisposedException(nameof(Interrupt)));
        return true;
    }
}
