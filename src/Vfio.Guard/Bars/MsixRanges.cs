namespace Vfio.Guard.Bars;

/// <summary>Where an MSI-X table and its pending bits lie, to find quickly that an access has nothing to do with them.</summary>
internal readonly struct MsixRanges
{
    private readonly BarRange _table;
    private readonly BarRange _pending;

    /// <summary>Those of a function.</summary>
    /// <param name="msix">Its capability; null when it has none, and every access is another's.</param>
    internal MsixRanges(MsixDescription? msix)
    {
        if (msix is null)
            return;
        _table = new BarRange((uint)msix.Bar, msix.TableOffset, msix.TableOffset + msix.TableLength);
        _pending = new BarRange((uint)msix.PendingBar, msix.PendingOffset, msix.PendingOffset + msix.PendingLength);
    }

    /// <summary>Whether an access, which lies inside its region, has a byte in either.</summary>
    internal bool Meet(RegionIndex region, ulong offset, int length) =>
        _table.Meets(region, offset, length) || _pending.Meets(region, offset, length);
}
