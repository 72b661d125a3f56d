using System.Runtime.InteropServices;

namespace Vfio.Native.Kernel;

#pragma warning disable IDE1006, CS0649 // the names are those of linux/vfio.h, and the kernel fills the fields

/// <summary>Data of VFIO_DEVICE_FEATURE_MIGRATION.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature_migration
{
    /// <summary>VFIO_MIGRATION_*.</summary>
    public ulong flags;
}

/// <summary>Data of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature_mig_state
{
    /// <summary>VFIO_DEVICE_STATE_*.</summary>
    public uint device_state;

    /// <summary>The kernel's answer to a change that starts a transfer: a descriptor that the asker closes; -1 otherwise.</summary>
    public int data_fd;
}

/// <summary>Data of VFIO_DEVICE_FEATURE_MIG_DATA_SIZE.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature_mig_data_size
{
    /// <summary>How many bytes STOP_COPY will have, estimated.</summary>
    public ulong stop_copy_length;
}

/// <summary>VFIO_MIG_GET_PRECOPY_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_precopy_info
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>0.</summary>
    public uint flags;

    /// <summary>Bytes left of what there was at first.</summary>
    public ulong initial_bytes;

    /// <summary>Bytes of what changed since it was read.</summary>
    public ulong dirty_bytes;
}

/// <summary>Data of VFIO_DEVICE_FEATURE_DMA_LOGGING_START.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature_dma_logging_control
{
    /// <summary>How fine it should be, in bytes; the kernel's answer is how fine it is.</summary>
    public ulong page_size;

    /// <summary>How many ranges.</summary>
    public uint num_ranges;

    /// <summary>0.</summary>
    public uint __reserved;

    /// <summary>Where they are.</summary>
    public ulong ranges;
}

/// <summary>Addresses that a device keeps record of.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature_dma_logging_range
{
    /// <summary>First address.</summary>
    public ulong iova;

    /// <summary>Bytes.</summary>
    public ulong length;
}

/// <summary>Data of VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature_dma_logging_report
{
    /// <summary>First address.</summary>
    public ulong iova;

    /// <summary>Bytes.</summary>
    public ulong length;

    /// <summary>Bytes that a bit stands for.</summary>
    public ulong page_size;

    /// <summary>Where the bits go, in whole words of 64.</summary>
    public ulong bitmap;
}

/// <summary>A bitmap of pages, of type 1.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_bitmap
{
    /// <summary>Bytes that a bit stands for.</summary>
    public ulong pgsize;

    /// <summary>Bytes of the bitmap.</summary>
    public ulong size;

    /// <summary>Where it is.</summary>
    public ulong data;
}

/// <summary>VFIO_IOMMU_DIRTY_PAGES.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_dirty_bitmap
{
    /// <summary>Size of this struct and of what follows.</summary>
    public uint argsz;

    /// <summary>VFIO_IOMMU_DIRTY_PAGES_FLAG_*: 1 start, 2 stop, 4 get the bitmap.</summary>
    public uint flags;
}

/// <summary>What follows to get the bitmap.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_dirty_bitmap_get
{
    /// <summary>First address.</summary>
    public ulong iova;

    /// <summary>Bytes.</summary>
    public ulong size;

    /// <summary>Where the bits go.</summary>
    public vfio_bitmap bitmap;
}

/// <summary>Capability 2 of VFIO_IOMMU_GET_INFO: the container can track dirty pages.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_info_cap_migration
{
    /// <summary>Header.</summary>
    public vfio_info_cap_header header;

    /// <summary>0.</summary>
    public uint flags;

    /// <summary>A bit for each page size of its dirty tracking.</summary>
    public ulong pgsize_bitmap;

    /// <summary>The longest bitmap that it fills, in bytes.</summary>
    public ulong max_dirty_bitmap_size;
}
