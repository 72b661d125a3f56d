namespace Vfio;

/// <summary>The properties of a device.</summary>
/// <param name="Flags">Its kind and features.</param>
/// <param name="RegionCount">How many regions it has, absent ones included.</param>
/// <param name="InterruptCount">How many interrupt indexes it has, absent ones included.</param>
public readonly record struct DeviceInfo(DeviceFlags Flags, int RegionCount, int InterruptCount)
{
    /// <summary>Whether <see cref="IVfioDevice.Reset"/> can work. Reading it does not reset.</summary>
    public bool CanReset => Flags.HasFlag(DeviceFlags.Reset);
}

/// <summary>VFIO_DEVICE_FLAGS_* of <c>linux/vfio.h</c>.</summary>
[Flags]
public enum DeviceFlags
{
    /// <summary>No flag.</summary>
    None = 0,

    /// <summary>It can be reset.</summary>
    Reset = 1,

    /// <summary>It is a PCI function: the numbers of its regions and interrupts are those of <see cref="RegionIndex"/> and <see cref="InterruptIndex"/>.</summary>
    Pci = 2,

    /// <summary>It is a platform device: regions and interrupts are numbered as its device tree has them; <see cref="IPlatformDevice"/>.</summary>
    Platform = 4,
}
