namespace Vfio.Kernel.Topology;

/// <summary>The paths of the kernel's file systems, and of records.</summary>
internal sealed record KernelPaths
{
    /// <summary>sysfs.</summary>
    public string Sysfs { get; init; } = "/sys";

    /// <summary>procfs.</summary>
    public string Proc { get; init; } = "/proc";

    /// <summary>Device files.</summary>
    public string Dev { get; init; } = "/dev";

    /// <summary>Records of the state to restore when a function is released; removed by a reboot, as the bindings are.</summary>
    public string Records { get; init; } = "/run/vfio";

    /// <summary>Permits that are kept for every later user of a function.</summary>
    public string SavedPermits { get; init; } = "/etc/vfio/permits";

    /// <summary>Drivers to which functions are bound at every boot; driverctl's files.</summary>
    public string Overrides { get; init; } = "/etc/driverctl.d";
}
