namespace Vfio;

/// <summary>A range of addresses that a device may use, and the memory behind it.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Size in bytes; not 0, and the range does not wrap.</param>
/// <param name="Access">What the device may do.</param>
/// <param name="Memory">The memory; the device takes a reference of its own and releases it when the range is unmapped.</param>
/// <param name="MemoryOffset">Offset of the range in <paramref name="Memory"/>, in bytes.</param>
public readonly record struct DmaMapping(Iova Start, ulong Length, DmaAccess Access, DmaMemory Memory, ulong MemoryOffset);

/// <summary>What a device may do with memory; VFIO_DMA_MAP_FLAG_* of <c>linux/vfio.h</c>.</summary>
[Flags]
public enum DmaAccess
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The device may read it.</summary>
    Read = 1,

    /// <summary>The device may write it.</summary>
    Write = 2,

    /// <summary>Both.</summary>
    ReadWrite = Read | Write,
}
