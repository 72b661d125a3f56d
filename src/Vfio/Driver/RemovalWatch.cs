using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Driver;

/// <summary>Listens for the removal of a device: for its release request, and for what the device itself says.</summary>
internal sealed class RemovalWatch : IDisposable
{
    private readonly IVfioDevice _device;
    private readonly TaskCompletionSource<RemovalReason> _reason = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EventRegistration? _request;

    /// <summary>Starts to listen.</summary>
    internal RemovalWatch(IVfioDevice device, PciInterrupts interrupts)
    {
        _device = device;
        try
        {
            if (device.TryGet(out IRemovalNotifier? notifier))
                _ = notifier.Removed.ContinueWith(OnGone, TaskContinuationOptions.OnlyOnRanToCompletion);
            if (interrupts.Count(InterruptIndex.Request) > 0)
                _request = Watch(interrupts.EnableReleaseRequest());
        }
        catch (VfioException)
        {
            // A device that is gone by now takes no eventfd; one that is there does not tell.
            Decide(isRequested: false);
        }
    }

    /// <summary>Completes with the reason.</summary>
    internal Task<RemovalReason> Reason => _reason.Task;

    /// <summary>Ends it: who waits is cancelled.</summary>
    public void Dispose()
    {
        _reason.TrySetCanceled();
        _request?.Cancel();
    }

    /// <summary>Calls back without reading the eventfd, so that the driver may wait for it too.</summary>
    private EventRegistration Watch(Interrupt request) => InterruptWait.Loop.AddOnce(request.Event.Descriptor, _ =>
    {
        // To be disposed signals it too. Whether the device is there may take long to find out.
        if (!request.IsDisposed)
            ThreadPool.UnsafeQueueUserWorkItem(static watch => watch.Decide(isRequested: true), this, preferLocal: false);
    });

    private void OnGone(Task gone) => _reason.TrySetResult(RemovalReason.Removed);

    /// <summary>Linux requests the release of a device that was unplugged, too.</summary>
    private void Decide(bool isRequested)
    {
        try
        {
            bool isPresent = Presence.IsPresent(_device);
            if (isRequested || !isPresent)
                _reason.TrySetResult(isPresent ? RemovalReason.ReleaseRequested : RemovalReason.Removed);
        }
        catch (ObjectDisposedException)
        {
            // It was disposed by now, which cancels.
        }
    }
}
