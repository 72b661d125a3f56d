using Vfio.Driver;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio;

/// <summary>One interrupt vector of a device, bound to an eventfd.</summary>
/// <remarks>
/// <para>It is remembered when it fires while nobody waits, and how often does not matter: a driver looks at its device after each
/// wait and handles all that it finds. After that it calls <see cref="Rearm"/>: INTx stays masked until then.</para>
/// <para>Any thread may use it, but only one waits at a time.</para>
/// </remarks>
public sealed class Interrupt : IDisposable
{
    private readonly IVfioDevice _device;
    private readonly InterruptInfo _kind;
    private readonly InterruptWait _wait;
    private volatile bool _disposed;

    internal Interrupt(IVfioDevice device, InterruptInfo kind, int vector)
    {
        _device = device;
        _kind = kind;
        Vector = vector;
        Event = EventFd.Create();
        _wait = new InterruptWait(Event, $"{this} of {device.Name}");
    }

    /// <summary>Which kind of interrupt.</summary>
    public InterruptIndex Kind => _kind.Index;

    /// <summary>Whether it was disposed: it fires no more, and its eventfd was signalled to wake who waits.</summary>
    public bool IsDisposed => _disposed;

    /// <summary>Which vector of its kind, from 0.</summary>
    public int Vector { get; }

    /// <summary>The eventfd, for a poll loop of one's own; do not dispose it.</summary>
    public EventFd Event { get; }

    /// <summary>Waits until the vector fires, or returns at once when it has fired since the last wait.</summary>
    /// <param name="timeout">How long; zero only asks; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>False when the time ran out first.</returns>
    public bool Wait(TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        bool held = false;
        try
        {
            // Disposing wakes this thread, and must not close the descriptor under it.
            Event.Descriptor.DangerousAddRef(ref held);
            bool fired = Event.Wait(timeout);
            ObjectDisposedException.ThrowIf(_disposed, this);
            return fired;
        }
        finally
        {
            if (held)
                Event.Descriptor.DangerousRelease();
        }
    }

    /// <summary>Waits until the vector fires; no thread is blocked meanwhile.</summary>
    /// <remarks>Allocates nothing once warm. The result is awaited once, before the next wait.</remarks>
    /// <exception cref="InvalidOperationException">Somebody waits already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; an interrupt that comes later is kept for the next wait.</exception>
    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => cancellationToken.IsCancellationRequested
        ? ValueTask.FromCanceled(cancellationToken)
        : _wait.Start(cancellationToken);

    /// <summary>Waits until the vector fires, or for a time: for drivers that look at their device now and then, for one that is gone fires
    /// no more. No thread is blocked meanwhile.</summary>
    /// <param name="timeout">How long, to the millisecond; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends it earlier.</param>
    /// <returns>False when the time ran out first.</returns>
    /// <remarks>Allocates nothing once warm. The result is awaited once, before the next wait.</remarks>
    /// <exception cref="InvalidOperationException">Somebody waits already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; an interrupt that comes later is kept for the next wait.</exception>
    public ValueTask<bool> WaitAsync(TimeSpan timeout, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<bool>(cancellationToken)
            : _wait.Start(new Deadline(timeout), cancellationToken);

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
    public void Forget()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Event.Drain();
    }

    /// <summary>Takes the eventfd away from the vector; whoever waits gets an <see cref="ObjectDisposedException"/>.</summary>
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
            Event.Dispose();
        }
    }

    /// <summary>The kind and the vector: <c>MSI-X vector 3</c>.</summary>
    public override string ToString() => $"{Kind} vector {Vector}";

    /// <summary>Frees the eventfd when the vectors were unbound as a whole.</summary>
    internal void DisposeUnbound()
    {
        if (Close())
            Event.Dispose();
    }

    private void Act(InterruptAction action)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _device.SetInterrupts(InterruptRequest.ForAll(Kind, action, Vector, 1));
    }

    private bool Close()
    {
        _disposed = true;
        if (!_wait.Close())
            return false;
        Event.Signal();
        return true;
    }
}
