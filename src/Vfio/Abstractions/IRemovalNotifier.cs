namespace Vfio;

/// <summary>Removal notice: a device that says by itself that it is gone. Asked for with <see cref="IVfioDevice.TryGet"/>.</summary>
/// <remarks>Beside it there is <see cref="InterruptIndex.Request"/>, by which an owner requests the release of the device, and Linux
/// tells that it was unplugged. <see cref="PciDevice.Removed"/> is both.</remarks>
public interface IRemovalNotifier
{
    /// <summary>Completes when the device is gone: its owner took it away, or the connection to it is lost for good. Cancelled when its
    /// user disposes the device. The same task at every call; from any thread.</summary>
    Task Removed { get; }
}

/// <summary>Why a device has to be disposed.</summary>
public enum RemovalReason
{
    /// <summary>It is gone: unplugged, taken away by its owner, or behind a connection that is lost. Nothing reaches it any more.</summary>
    Removed,

    /// <summary>Its release is requested (REQ), and it still works: finish what is under way.</summary>
    ReleaseRequested,
}
