using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>What follows the header of a sparse mmap capability: 8 bytes, then <see cref="AreaCount"/> mmap areas.</summary>
/// <remarks>vfio-user, section "VFIO region info cap sparse mmap".</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct SparseMmapMessage
{
    /// <summary>How many mmap areas follow.</summary>
    public uint AreaCount;

    /// <summary>Reserved; 0.</summary>
    public uint Reserved;
}

/// <summary>A part of a region that can be mapped: 16 bytes; <c>struct vfio_region_sparse_mmap_area</c>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct SparseMmapArea
{
    /// <summary>Byte offset into the region; the region info's offset is added for mmap.</summary>
    public ulong Offset;

    /// <summary>Size of the area in bytes.</summary>
    public ulong Size;
}
