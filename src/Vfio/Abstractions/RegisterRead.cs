namespace Vfio;

/// <summary>One register read of several; see <see cref="IVfioDevice.ReadRegions"/>.</summary>
/// <param name="Region">Which region.</param>
/// <param name="Offset">Offset in the region, in bytes.</param>
/// <param name="Width">How many bytes: 1 to 8. 1, 2, 4 and 8 naturally aligned ones are one access to the device.</param>
public readonly record struct RegisterRead(RegionIndex Region, ulong Offset, int Width);
