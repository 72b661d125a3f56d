namespace Vfio.Guard.Bars;

/// <summary>A range of bytes in a BAR.</summary>
/// <param name="Bar">The number of the BAR.</param>
/// <param name="Start">The first byte, as an offset into the BAR.</param>
/// <param name="End">The end of the range, exclusive.</param>
internal readonly record struct BarRange(uint Bar, ulong Start, ulong End)
{
    /// <summary>Whether an access, which lies inside its region, overlaps the range.</summary>
    internal bool Meets(RegionIndex region, ulong offset, int length) =>
        region.Value == Bar && offset < End && offset + (ulong)length > Start;
}
