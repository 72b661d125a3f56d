namespace Vfio.Abstractions;

/// <summary>Handover: a migratable device that can continue in another process of this machine while its user stays connected. It passes
/// its state, the user's mappings and eventfds, and the memory and doorbells that the user has. Requested with
/// <see cref="IVfioDevice.TryGet"/>.</summary>
/// <remarks>The predecessor calls <see cref="Suspend"/>; the successor <see cref="TakeOver"/> and <see cref="Resume"/>; then the
/// predecessor calls <see cref="Depart"/>, or <see cref="Resume"/> when no successor took it over. One thread does all of that, and makes
/// no other call in between.</remarks>
internal interface IHandoverDevice : IMigratableDevice
{
    /// <summary>Whether it can; fixed while it is open. True of a feature that <see cref="IVfioDevice.TryGet"/> returned.</summary>
    bool CanHandOver { get; }

    /// <summary>Stops the device, and returns all that a successor needs. From here on it uses no memory, signals nothing and listens to no
    /// eventfd; signals that come meanwhile stay in the eventfds.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot; EBUSY: its user is migrating it. It continues to run then.</exception>
    DeviceHandover Suspend();

    /// <summary>Takes over, freshly opened, what another process suspended; it stays suspended.</summary>
    /// <param name="from">Stays the caller's; the device takes references of its own.</param>
    /// <exception cref="VfioException">EINVAL: it is not of such a device; else the errno of what failed. Call <see cref="Depart"/>
    /// then.</exception>
    void TakeOver(DeviceHandover from);

    /// <summary>Continues: where it was suspended, or where it was taken over.</summary>
    void Resume();

    /// <summary>Closes without a reset, because another process continues with the memory that they share.</summary>
    void Depart();
}
