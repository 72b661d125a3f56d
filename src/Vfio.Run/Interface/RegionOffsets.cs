namespace Vfio.Run.Interface;

/// <summary>Where the regions of a device are in its file: the offsets of pread(2), pwrite(2) and mmap(2).</summary>
/// <remarks>
/// <para>A region has 1 TiB, and the first 1 TiB is nobody's. So an access to a device is known by its offset alone, whatever number its
/// descriptor was given by dup(2), by fork(2) or by another process, and reads of other files cost nothing: no other file is that
/// long.</para>
/// <para>DPDK has config space's number at bit 40 built in, without asking for its offset; so <c>7 &lt;&lt; 40</c> means config space too.
/// </para>
/// </remarks>
internal static class RegionOffsets
{
    /// <summary>Calls with an offset below this one are not for a device.</summary>
    internal const ulong First = 1UL << Shift;

    private const int Shift = 40;
    private const ulong Mark = 1UL << 48, Within = (1UL << Shift) - 1;

    /// <summary>The offset of a region that the device's file reports.</summary>
    internal static ulong Of(RegionIndex region) => Mark | ((ulong)region.Value << Shift);

    /// <summary>The region at an offset.</summary>
    /// <returns>False where no region can be.</returns>
    internal static bool TryParse(ulong offset, out RegionIndex region, out ulong inRegion)
    {
        region = new RegionIndex((uint)((offset & ~Mark) >> Shift));
        inRegion = offset & Within;
        return offset is >= First and < 2 * Mark && region.Value <= byte.MaxValue;
    }
}
