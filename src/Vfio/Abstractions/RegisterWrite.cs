namespace Vfio;

/// <summary>One register write of several; see <see cref="IVfioDevice.WriteRegions"/> and
/// <see cref="Bar.Write(ReadOnlySpan{RegisterWrite})"/>.</summary>
/// <param name="Region">Which region; a <see cref="Bar"/> writes to its own, whatever this is.</param>
/// <param name="Offset">Offset in the region, in bytes.</param>
/// <param name="Width">How many bytes, from the lowest of <paramref name="Value"/> on: 1 to 8. 1, 2, 4 and 8 naturally aligned ones are
/// one access to the device.</param>
/// <param name="Value">What is written, as a little-endian number.</param>
public readonly record struct RegisterWrite(RegionIndex Region, ulong Offset, int Width, ulong Value)
{
    /// <summary>8 bits, for <see cref="Bar.Write(ReadOnlySpan{RegisterWrite})"/>.</summary>
    public static RegisterWrite Of8(ulong offset, byte value) => new(RegionIndex.Bar0, offset, 1, value);

    /// <summary>16 bits at a multiple of 2.</summary>
    public static RegisterWrite Of16(ulong offset, ushort value) => new(RegionIndex.Bar0, offset, 2, value);

    /// <summary>32 bits at a multiple of 4.</summary>
    public static RegisterWrite Of32(ulong offset, uint value) => new(RegionIndex.Bar0, offset, 4, value);

    /// <summary>64 bits at a multiple of 8.</summary>
    public static RegisterWrite Of64(ulong offset, ulong value) => new(RegionIndex.Bar0, offset, 8, value);
}
