using Vfio.Native;
using Vfio.Native.Kernel;

namespace Vfio.Run.Interface;

/// <summary>The low power state that a program allows its device: VFIO_DEVICE_FEATURE_LOW_POWER_*.</summary>
/// <remarks>A device of software uses no power either way; what a program sees is the kernel's: while it is allowed, each access wakes the
/// device, and it sleeps again; with an eventfd, the first access signals it and ends the state.</remarks>
internal sealed class LowPower : IDisposable
{
    private readonly Lock _lock = new();
    private volatile bool _isAllowed;
    private EventFd? _wakeup;

    /// <summary>Allows it.</summary>
    /// <param name="wakeup">What the first access signals; owned. Null for none.</param>
    /// <returns>EINVAL: it is allowed already.</returns>
    internal Errno Enter(EventFd? wakeup)
    {
        lock (_lock)
        {
            if (_isAllowed)
            {
                wakeup?.Dispose();
                return Errno.InvalidArgument;
            }

            _wakeup = wakeup;
            _isAllowed = true;
            return Errno.None;
        }
    }

    /// <summary>Allows it, with an eventfd.</summary>
    internal Errno EnterWithWakeup(ICaller caller, ulong data)
    {
        if (!caller.TryRead(data, out vfio_device_low_power_entry_with_wakeup entry))
            return Errno.BadAddress;
        if (entry.wakeup_eventfd < 0)
            return Errno.InvalidArgument;
        using FileDescriptor? descriptor = caller.CopyDescriptor(entry.wakeup_eventfd);
        if (descriptor is null)
            return Errno.BadDescriptor;
        EventFd? wakeup = EventFd.TryHold(descriptor);
        return wakeup is null ? Errno.InvalidArgument : Enter(wakeup);
    }

    /// <summary>Ends it; no effect when it is not allowed.</summary>
    /// <returns>0.</returns>
    internal long Exit()
    {
        lock (_lock)
        {
            _isAllowed = false;
            _wakeup?.Dispose();
            _wakeup = null;
        }

        return 0;
    }

    /// <summary>The device is accessed.</summary>
    internal void Wake()
    {
        if (!_isAllowed)
            return;
        lock (_lock)
        {
            if (_wakeup is null)
                return;
            _wakeup.Signal();
            _wakeup.Dispose();
            _wakeup = null;
            _isAllowed = false;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Exit();
}
