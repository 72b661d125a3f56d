using System.Runtime.InteropServices;

namespace Vfio.Native.Kernel;

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

    /// <summary>How many ranges the buffer has space for; the kernel returns how many there are.</summary>
    public uint num_iovas;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>Where the ranges go.</summary>
    public ulong allowed_iovas;

    /// <summary>What addresses and sizes are multiples of; the kernel's answer.</summary>
    public ulong out_iova_alignment;
}

/// <summary>IOMMU_IOAS_ALLOW_IOVAS.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_allow_iovas
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>The I/O address space.</summary>
    public uint ioas_id;

    /// <summary>How many ranges.</summary>
    public uint num_iovas;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>Where they are.</summary>
    public ulong allowed_iovas;
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

/// <summary>IOMMU_IOAS_MAP_FILE.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_map_file
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>As of <see cref="iommu_ioas_map"/>.</summary>
    public uint flags;

    /// <summary>The I/O address space.</summary>
    public uint ioas_id;

    /// <summary>The file, of memory.</summary>
    public int fd;

    /// <summary>Where in the file, in bytes.</summary>
    public ulong start;

    /// <summary>Bytes.</summary>
    public ulong length;

    /// <summary>Where the device finds it.</summary>
    public ulong iova;
}

/// <summary>IOMMU_IOAS_COPY.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_ioas_copy
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>As of <see cref="iommu_ioas_map"/>.</summary>
    public uint flags;

    /// <summary>The I/O address space that gets the mapping.</summary>
    public uint dst_ioas_id;

    /// <summary>The one that has it.</summary>
    public uint src_ioas_id;

    /// <summary>Bytes.</summary>
    public ulong length;

    /// <summary>Where a device finds it in the former.</summary>
    public ulong dst_iova;

    /// <summary>And in the latter.</summary>
    public ulong src_iova;
}

/// <summary>IOMMU_OPTION.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_option
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>0 how memory is accounted, 1 huge pages.</summary>
    public uint option_id;

    /// <summary>0 set, 1 get.</summary>
    public ushort op;

    /// <summary>0.</summary>
    public ushort __reserved;

    /// <summary>The I/O address space, or 0.</summary>
    public uint object_id;

    /// <summary>The value.</summary>
    public ulong val64;
}

/// <summary>IOMMU_VFIO_IOAS.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_vfio_ioas
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>The I/O address space.</summary>
    public uint ioas_id;

    /// <summary>0 get, 1 set, 2 clear.</summary>
    public ushort op;

    /// <summary>0.</summary>
    public ushort __reserved;
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

/// <summary>IOMMU_GET_HW_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_hw_info
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>0.</summary>
    public uint flags;

    /// <summary>The device.</summary>
    public uint dev_id;

    /// <summary>Size of the buffer for the IOMMU driver's data, in bytes; the kernel returns the size of the data.</summary>
    public uint data_len;

    /// <summary>Where that goes.</summary>
    public ulong data_uptr;

    /// <summary>What that is; the kernel's answer.</summary>
    public uint out_data_type;

    /// <summary>How many bits a process address space's number has, 0 for none; the kernel's answer, from Linux 6.15 on.</summary>
    public byte out_max_pasid_log2;

    private byte _reserved0;
    private ushort _reserved1;

    /// <summary>Whether a field is set that has no meaning yet.</summary>
    internal readonly bool HasReserved => _reserved0 != 0 || _reserved1 != 0;

    /// <summary>IOMMU_HW_CAP_*: 1 for dirty tracking; returned by the kernel.</summary>
    public ulong out_capabilities;
}

/// <summary>IOMMU_HWPT_ALLOC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_hwpt_alloc
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>IOMMU_HWPT_ALLOC_*: 2 for dirty tracking.</summary>
    public uint flags;

    /// <summary>The device.</summary>
    public uint dev_id;

    /// <summary>The I/O address space.</summary>
    public uint pt_id;

    /// <summary>The new page table; the kernel's answer.</summary>
    public uint out_hwpt_id;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>0: nothing of the IOMMU's own follows.</summary>
    public uint data_type;

    /// <summary>0.</summary>
    public uint data_len;

    /// <summary>0.</summary>
    public ulong data_uptr;

    /// <summary>0.</summary>
    public uint fault_id;

    /// <summary>0.</summary>
    public uint __reserved2;
}

/// <summary>IOMMU_HWPT_SET_DIRTY_TRACKING.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_hwpt_set_dirty_tracking
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>1 on, 0 off.</summary>
    public uint flags;

    /// <summary>The page table.</summary>
    public uint hwpt_id;

    /// <summary>0.</summary>
    public uint __reserved;
}

/// <summary>IOMMU_HWPT_GET_DIRTY_BITMAP.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iommu_hwpt_get_dirty_bitmap
{
    /// <summary>Size of this struct.</summary>
    public uint size;

    /// <summary>The page table.</summary>
    public uint hwpt_id;

    /// <summary>0: what is reported is forgotten.</summary>
    public uint flags;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>First address.</summary>
    public ulong iova;

    /// <summary>Bytes.</summary>
    public ulong length;

    /// <summary>Bytes that a bit stands for.</summary>
    public ulong page_size;

    /// <summary>Where the bits go.</summary>
    public ulong data;
}
