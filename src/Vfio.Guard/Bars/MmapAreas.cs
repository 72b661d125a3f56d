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

    /// <summary>Returns what is left of areas without the pages of a range.</summary>
    /// <param name="areas">In ascending order.</param>
    /// <param name="offset">Where the range starts.</param>
    /// <param name="length">Its size in bytes.</param>
    /// <param name="pageBytes">Size of a page.</param>
    internal static IReadOnlyList<MmapArea> Without(IEnumerable<MmapArea> areas, ulong offset, ulong length, ulong pageBytes)
    {
        ulong start = offset & ~(pageBytes - 1);
        ulong end = (offset + length + pageBytes - 1) & ~(pageBytes - 1);
        List<MmapArea> left = [];
        foreach (MmapArea area in areas)
        {
            ulong areaEnd = area.Offset + area.Length;
            if (area.Offset < Math.Min(start, areaEnd))
                left.Add(new MmapArea(area.Offset, Math.Min(start, areaEnd) - area.Offset));
            if (Math.Max(end, area.Offset) < areaEnd)
                left.Add(new MmapArea(Math.Max(end, area.Offset), areaEnd - Math.Max(end, area.Offset)));
        }

        return left;
    }

    private static MmapArea Pages(ulong offset, ulong length)
    {
        ulong start = offset & ~(PageBytes - 1);
        ulong end = (offset + length + PageBytes - 1) & ~(PageBytes - 1);
        return new MmapArea(start, end - start);
    }
}
