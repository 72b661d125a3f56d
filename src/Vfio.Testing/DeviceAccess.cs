namespace Vfio.Testing;

/// <summary>One access of a driver to a region.</summary>
/// <param name="IsWrite">Whether it writes.</param>
/// <param name="Region">The region.</param>
/// <param name="Offset">Where it begins, in bytes.</param>
/// <param name="Length">How many bytes.</param>
public readonly record struct DeviceAccess(bool IsWrite, RegionIndex Region, ulong Offset, int Length);
