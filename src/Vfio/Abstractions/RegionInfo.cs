using Vfio.Native;

namespace Vfio;

/// <summary>One region of a device: its length, and the allowed accesses.</summary>
/// <param name="Index">Which one.</param>
/// <param name="Length">Size in bytes; 0 when the device has no such region.</param>
/// <param name="Flags">The allowed accesses.</param>
public readonly record struct RegionInfo(RegionIndex Index, ulong Length, RegionFlags Flags)
{
    /// <summary>The file to map it from; null when it cannot be mapped. The device keeps it open until it is disposed.</summary>
    public FileDescriptor? File { get; init; }

    /// <summary>Offset of the region in <see cref="File"/>, in bytes.</summary>
    public ulong FileOffset { get; init; }

    /// <summary>The mmap areas in ascending order, without overlap; empty means the whole region, when it can be mapped at all.</summary>
    public IReadOnlyList<MmapArea> MmapAreas { get; init; } = [];

    /// <summary>Whether <see cref="File"/> must not leave this process: whoever has it can do more than map the region.</summary>
    internal bool IsFilePrivate { get; init; }

    /// <summary>Whether the region, or a part of it, can be mapped.</summary>
    public bool IsMappable => File is not null && Flags.HasFlag(RegionFlags.Map);

    /// <summary>A region that the device does not have.</summary>
    public static RegionInfo Absent(RegionIndex index) => new(index, 0, RegionFlags.None);
}

/// <summary>A part of a region that may be mapped; <c>struct vfio_region_sparse_mmap_area</c>.</summary>
/// <param name="Offset">Where it starts in the region, in bytes; a multiple of the page size.</param>
/// <param name="Length">Its size in bytes.</param>
public readonly record struct MmapArea(ulong Offset, ulong Length);

/// <summary>VFIO_REGION_INFO_FLAG_* of <c>linux/vfio.h</c>.</summary>
[Flags]
public enum RegionFlags
{
    /// <summary>No access.</summary>
    None = 0,

    /// <summary>May be read.</summary>
    Read = 1,

    /// <summary>May be written.</summary>
    Write = 2,

    /// <summary>May be mapped, wholly or in parts.</summary>
    Map = 4,
}
