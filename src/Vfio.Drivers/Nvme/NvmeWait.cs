using Vfio.Native.Waiting;

namespace Vfio.Drivers.Nvme;

/// <summary>A wait for the completion of a command, which ends with an exception when the time is over or the controller died.</summary>
/// <remarks>Allocates nothing. One thread at a time.</remarks>
internal struct NvmeWait
{
    private readonly NvmeControl _control;
    private readonly string _operation;
    private readonly TimeSpan _timeout;
    private LivenessWait _wait;

    /// <summary>Begins it.</summary>
    /// <param name="control">The controller.</param>
    /// <param name="operation">What is waited for, for the exception.</param>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for as long as the controller lives.</param>
    internal NvmeWait(NvmeControl control, string operation, TimeSpan timeout)
    {
        _control = control;
        _operation = operation;
        _timeout = timeout;
        _wait = new LivenessWait(control, operation);
        _wait.Begin(timeout);
    }

    /// <summary>Spins for a moment, and yields the processor to other threads.</summary>
    internal void SpinOnce() => _wait.SpinOnce();

    /// <summary>Checks the time, and ten times a second the controller.</summary>
    /// <exception cref="VfioException">ETIMEDOUT: the time is over; ENODEV: the controller is gone; EIO: it failed.</exception>
    internal void ThrowIfOver()
    {
        if (_wait.IsOver())
            throw _control.NotInTime(_operation, _timeout);
    }
}
