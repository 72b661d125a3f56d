namespace Vfio.Kernel;

/// <summary>How to open a device of the kernel.</summary>
public sealed record KernelDeviceOptions
{
    /// <summary>Which of the two.</summary>
    public VfioInterface Interface { get; init; } = VfioInterface.Any;

    /// <summary>The address space to put it into, shared with other devices and owned by the caller; null for one of its own.</summary>
    public DmaSpace? Space { get; init; }

    /// <summary>Where sysfs is mounted.</summary>
    public string Sysfs { get; init; } = "/sys";
}

/// <summary>The kernel's two VFIO interfaces.</summary>
public enum VfioInterface
{
    /// <summary>Its own file where there is one that this user may open, otherwise its group.</summary>
    Any,

    /// <summary><c>/dev/vfio/GROUP</c>.</summary>
    Group,

    /// <summary><c>/dev/vfio/devices/vfioN</c>.</summary>
    Cdev,
}
