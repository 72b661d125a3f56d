namespace Vfio.Run.Interface;

/// <summary>Which BARs a program may map.</summary>
internal enum BarMapping
{
    /// <summary>None: it reads and writes them with pread and pwrite.</summary>
    None,

    /// <summary>The parts that are memory, which need nobody to trap accesses: <see cref="RegionInfo.MmapAreas"/>.</summary>
    Memory,

    /// <summary>All memory BARs of a page and more, as vfio-pci does: who traces the program makes its accesses.</summary>
    All,
}
