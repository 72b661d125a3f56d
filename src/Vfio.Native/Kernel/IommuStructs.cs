using System.Runtime.InteropServices;

namespace Vfio.Native;

#pragma warning disable IDE1006, CS0649 // the names are those of linux/iommufd.h, and the kernel fills the fields

/// <summary>IOMMU_DESTROY.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_destroy
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>The object.</summary>
    public uint id;
}

/// <summary>IOMMU_IOAS_ALLOC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_alloc
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>0.</summary>
    public uint flags;

    /// <summary>The new I/O address space; the kernel's answer.</summary>
    public uint out_ioas_id;
}

/// <summary>A range of I/O addresses.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_iova_range
{
    /// <summary>First address.</summary>
    public ulong start;

    /// <summary>Last address.</summary>
    public ulong last;
}

/// <summary>IOMMU_IOAS_IOVA_RANGES.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_iova_ranges
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>The I/O address space.</summary>
    public uint ioas_id;

    /// <summary>Room for how many ranges; the kernel's answer is how many there are.</summary>
    public uint num_iovas;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>Where the ranges go.</summary>
    public ulong allowed_iovas;

    /// <summary>What addresses and sizes are multiples of; the kernel's answer.</summary>
    public ulong out_iova_alignment;
}

/// <summary>IOMMU_IOAS_MAP.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_map
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>1 at the address given, 2 the device may write, 4 it may read.</summary>
    public uint flags;

    /// <summary>The I/O address space.</summary>
    public uint ioas_id;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>Where the memory is in this process.</summary>
    public ulong user_va;

    /// <summary>Bytes.</summary>
    public ulong length;

    /// <summary>Where the device finds it.</summary>
    public ulong iova;
}

/// <summary>IOMMU_IOAS_UNMAP.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_unmap
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>The I/O address space.</summary>
    public uint ioas_id;

    /// <summary>First address.</summary>
    public ulong iova;

    /// <summary>Bytes; the kernel's answer is how many were mapped.</summary>
    public ulong length;
}
