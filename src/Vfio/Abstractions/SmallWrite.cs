namespace Vfio;

/// <summary>One small write of a region, for several at once; see <see cref="IVfioDevice.WriteRegions"/>.</summary>
/// <param name="Region">Which region.</param>
/// <param name="Offset">Where in it, in bytes.</param>
/// <param name="Width">How many bytes, from the lowest of <paramref name="Value"/> on: 1 to 8. 1, 2, 4 and 8 naturally aligned ones are
/// one access to the device.</param>
/// <param name="Value">What is written, as a little-endian number.</param>
public readonly record struct SmallWrite(RegionIndex Region, ulong Offset, int Width, ulong Value);
