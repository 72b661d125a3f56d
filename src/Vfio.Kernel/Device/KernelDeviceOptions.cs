using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Vfio.Kernel;

/// <summary>How to open a device of the kernel.</summary>
public sealed record KernelDeviceOptions
{
    /// <summary>The VFIO interface to use; <see cref="VfioInterface.Any"/> by default.</summary>
    public VfioInterface Interface { get; init; } = VfioInterface.Any;

    /// <summary>The address space for the device, shared with other devices and owned by the caller; null for one of its own.</summary>
    public DmaSpace? Space { get; init; }

    /// <summary>Where sysfs is mounted.</summary>
    public string Sysfs { get; init; } = "/sys";

    /// <summary>Logs the interface by which a device is opened (debug), and that the cdev is there and this user may not open it
    /// (information).</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}

/// <summary>The kernel's two VFIO interfaces.</summary>
public enum VfioInterface
{
    /// <summary>The cdev if this user may open it and <c>/dev/iommu</c>, otherwise the group.</summary>
    Any,

    /// <summary>The legacy interface: <c>/dev/vfio/GROUP</c> and a container of type 1.</summary>
    Group,

    /// <summary>The device's character device <c>/dev/vfio/devices/vfioN</c>, with iommufd.</summary>
    Cdev,
}
