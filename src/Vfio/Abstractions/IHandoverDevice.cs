namespace Vfio.Abstractions;

/// <summary>Handover: a migratable device that can go on in another process of this machine while its user stays connected. Beside its
/// state, all that its user gave it, and all that its user holds of it, goes along. Asked for with <see cref="IVfioDevice.TryGet"/>.
/// </summary>
/// <remarks>Here <see cref="Suspend"/>; there <see cref="TakeOver"/> and <see cref="Resume"/>; and then here <see cref="Depart"/>, or
/// <see cref="Resume"/> when nobody took it over. One thread does all of that, and calls nothing else meanwhile.</remarks>
internal interface IHandoverDevice : IMigratableDevice
{
    /// <summary>Whether it can; fixed while it is open. True of a feature that <see cref="IVfioDevice.TryGet"/> gave.</summary>
    bool CanHandOver { get; }

    /// <summary>Stops the device, and takes down all that has to go along. From here on it uses no memory, signals nothing and hears no
    /// eventfd; nothing is lost of what happens meanwhile.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot; EBUSY: not now, its user is migrating it. It runs on then.</exception>
    DeviceHandover Suspend();

    /// <summary>Becomes, freshly opened, what another process suspended; it stays suspended.</summary>
    /// <param name="from">Stays the caller's: what is kept is held by references of the device's own.</param>
    /// <exception cref="VfioException">EINVAL: not of such a device; else what it lacks. <see cref="Depart"/> it then.</exception>
    void TakeOver(DeviceHandover from);

    /// <summary>Goes on: where it was suspended, or where it was taken over.</summary>
    void Resume();

    /// <summary>Closes without a reset, because another process goes on with what they share.</summary>
    void Depart();
}
