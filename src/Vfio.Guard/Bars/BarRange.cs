namespace Vfio.Guard.Bars;

/// <summary>Part of a BAR.</summary>
/// <param name="Bar">Which one.</param>
/// <param name="Start">Where it starts, in bytes.</param>
/// <param name="End">Where it ends, exclusive.</param>
internal readonly record struct BarRange(uint Bar, ulong Start, ulong End)
{
    /// <summary>Whether an access, which lies inside its region, has a byte in it.</summary>
    internal bool Meets(RegionIndex region, ulong offset, int length) =>
        region.Value == Bar && offset < End && offset + (ulong)length > Start;
}
