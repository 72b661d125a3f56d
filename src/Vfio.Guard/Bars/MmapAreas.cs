namespace Vfio.Guard.Bars;

/// <summary>The mmap areas of a BAR: its pages without those of the MSI-X table and pending bits.</summary>
internal static class MmapAreas
{
    internal const ulong PageBytes = 4096;

    /// <summary>Returns the pages of a BAR that hold neither the table nor the pending bits, in ascending order.</summary>
    internal static IReadOnlyList<MmapArea> Around(MsixDescription? msix, RegionIndex region, ulong length)
    {
        List<MmapArea> kept = [];
        if (msix is not null && region.Value == (uint)msix.Bar)
            kept.Add(Pages(msix.TableOffset, msix.TableLength));
        if (msix is not null && region.Value == (uint)msix.PendingBar)
            kept.Add(Pages(msix.PendingOffset, msix.PendingLength));
        List<MmapArea> areas = [];
        ulong start = 0;
        foreach (MmapArea area in kept.OrderBy(area => area.Offset))
        {
            if (area.Offset > start)
                areas.Add(new MmapArea(start, area.Offset - start));
            start = Math.Max(start, area.Offset + area.Length);
        }

        if (start < length)
            areas.Add(new MmapArea(start, length - start));
        return areas;
    }

    private static MmapArea Pages(ulong offset, ulong length)
    {
        ulong start = offset & ~(PageBytes - 1);
        ulong end = (offset + length + PageBytes - 1) & ~(PageBytes - 1);
        return new MmapArea(start, end - start);
    }
}
