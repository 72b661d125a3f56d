namespace Vfio.Guard.Bars;

/// <summary>Where an MSI-X table and its pending bits lie: a fast check for accesses outside both.</summary>
internal readonly struct MsixRanges
{
    private readonly BarRange _table;
    private readonly BarRange _pending;

    /// <summary>Makes the ranges of a function.</summary>
    /// <param name="msix">Its MSI-X capability; null when it has none, and no access overlaps.</param>
    internal MsixRanges(MsixDescription? msix)
    {
        if (msix is null)
            return;
        _table = new BarRange((uint)msix.Bar, msix.TableOffset, msix.TableOffset + msix.TableLength);
        _pending = new BarRange((uint)msix.PendingBar, msix.PendingOffset, msix.PendingOffset + msix.PendingLength);
    }

    /// <summary>Whether an access, which lies inside its region, overlaps the table or the pending bits.</summary>
    internal bool Meet(RegionIndex region, ulong offset, int length) =>
        _table.Meets(region, offset, length) || _pending.Meets(region, offset, length);
}
