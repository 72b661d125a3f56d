namespace Vfio.Kernel.Topology;

/// <summary>A range of bus addresses of a function: one line of sysfs' <c>resource</c>.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Size in bytes; 0 when the function has no such region.</param>
/// <param name="Flags">The kernel's IORESOURCE_* bits.</param>
internal readonly record struct KernelRegion(ulong Start, ulong Length, ulong Flags)
{
    private const ulong IoPorts = 0x100, Memory = 0x200;

    /// <summary>Memory, rather than I/O ports.</summary>
    public bool IsMemory => (Flags & Memory) != 0;

    /// <summary>I/O ports.</summary>
    public bool IsIo => (Flags & IoPorts) != 0;
}
