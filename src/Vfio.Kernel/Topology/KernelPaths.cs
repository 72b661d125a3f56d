namespace Vfio.Kernel.Topology;

/// <summary>Where the kernel shows itself, and where records are kept.</summary>
internal sealed record KernelPaths
{
    /// <summary>sysfs.</summary>
    public string Sysfs { get; init; } = "/sys";

    /// <summary>procfs.</summary>
    public string Proc { get; init; } = "/proc";

    /// <summary>Device files.</summary>
    public string Dev { get; init; } = "/dev";

    /// <summary>What to undo when a function is released; gone after a reboot, as the bindings are.</summary>
    public string Records { get; init; } = "/run/vfio";

    /// <summary>Drivers that functions get at every boot; driverctl's.</summary>
    public string Overrides { get; init; } = "/etc/driverctl.d";
}
