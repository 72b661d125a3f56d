namespace Vfio.Pci.Capabilities;

/// <summary>A BAR as the kernel has it.</summary>
/// <param name="Address">Where it starts.</param>
/// <param name="SizeBytes">Its size.</param>
/// <param name="Flags">Its kind: the flags of the third column of a function's <c>resource</c> file in sysfs.</param>
internal sealed record RegionFact(ulong Address, ulong SizeBytes, ulong Flags)
{
    private const ulong Io = 0x100;
    private const ulong Prefetch = 0x2000;
    private const ulong Memory64 = 0x100000;
    private const ulong EnhancedAllocation = 0x20;

    /// <summary>Whether it is of I/O ports.</summary>
    public bool IsIo => (Flags & Io) != 0;

    /// <summary>Whether it is of memory that may be read ahead.</summary>
    public bool IsPrefetchable => (Flags & Prefetch) != 0;

    /// <summary>Whether it is of memory with a 64-bit address.</summary>
    public bool Is64Bit => (Flags & Memory64) != 0;

    /// <summary>Whether it comes from Enhanced Allocation rather than from a BAR.</summary>
    public bool IsEnhanced => (Flags & EnhancedAllocation) != 0;
}
