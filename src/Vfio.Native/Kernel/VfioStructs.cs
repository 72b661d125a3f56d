using System.Runtime.InteropServices;

namespace Vfio.Native.Kernel;

#pragma warning disable IDE1006, CS0649 // the names are those of linux/vfio.h, and the kernel fills the fields

/// <summary>Header of a capability in the answer to an INFO ioctl.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_info_cap_header
{
    /// <summary>Which capability.</summary>
    public ushort id;

    /// <summary>Version of its layout.</summary>
    public ushort version;

    /// <summary>Offset of the next one from the start of the answer; 0 at the end.</summary>
    public uint next;
}

/// <summary>VFIO_GROUP_GET_STATUS.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_group_status
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>As <see cref="GroupStatus"/>.</summary>
    public uint flags;
}

/// <summary>VFIO_DEVICE_GET_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_info
{
    /// <summary>Size of the answer.</summary>
    public uint argsz;

    /// <summary>VFIO_DEVICE_FLAGS_*.</summary>
    public uint flags;

    /// <summary>Highest region index and one.</summary>
    public uint num_regions;

    /// <summary>Highest interrupt index and one.</summary>
    public uint num_irqs;

    /// <summary>Offset of the first capability; 0 for none.</summary>
    public uint cap_offset;

    /// <summary>Nothing.</summary>
    public uint pad;
}

/// <summary>VFIO_DEVICE_GET_REGION_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_region_info
{
    /// <summary>Size of the answer.</summary>
    public uint argsz;

    /// <summary>VFIO_REGION_INFO_FLAG_*.</summary>
    public uint flags;

    /// <summary>Which region.</summary>
    public uint index;

    /// <summary>Offset of the first capability; 0 for none.</summary>
    public uint cap_offset;

    /// <summary>Size of the region in bytes.</summary>
    public ulong size;

    /// <summary>Where it starts in the device's file, in bytes.</summary>
    public ulong offset;
}

/// <summary>Capability 1 of a region: the parts that may be mapped follow it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_region_info_cap_sparse_mmap
{
    /// <summary>Header.</summary>
    public vfio_info_cap_header header;

    /// <summary>How many areas follow.</summary>
    public uint nr_areas;

    /// <summary>Nothing.</summary>
    public uint reserved;
}

/// <summary>A part of a region that may be mapped.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_region_sparse_mmap_area
{
    /// <summary>Where it starts in the region, in bytes.</summary>
    public ulong offset;

    /// <summary>Its size in bytes.</summary>
    public ulong size;
}

/// <summary>VFIO_DEVICE_GET_IRQ_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_irq_info
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>VFIO_IRQ_INFO_*.</summary>
    public uint flags;

    /// <summary>Which kind of interrupt.</summary>
    public uint index;

    /// <summary>How many vectors it has.</summary>
    public uint count;
}

/// <summary>VFIO_DEVICE_SET_IRQS: data follows it, a byte or a descriptor for each vector.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_irq_set
{
    /// <summary>Size of this struct and of the data.</summary>
    public uint argsz;

    /// <summary>VFIO_IRQ_SET_DATA_* and VFIO_IRQ_SET_ACTION_*.</summary>
    public uint flags;

    /// <summary>Which kind of interrupt.</summary>
    public uint index;

    /// <summary>First vector.</summary>
    public uint start;

    /// <summary>How many vectors.</summary>
    public uint count;
}

/// <summary>VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: the functions follow it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_pci_hot_reset_info
{
    /// <summary>Size of the answer.</summary>
    public uint argsz;

    /// <summary>VFIO_PCI_HOT_RESET_FLAG_*.</summary>
    public uint flags;

    /// <summary>How many functions follow.</summary>
    public uint count;
}

/// <summary>A function that a hot reset resets too.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_pci_dependent_device
{
    /// <summary>Its group, or its number in iommufd.</summary>
    public uint group_id;

    /// <summary>Its PCI domain.</summary>
    public ushort segment;

    /// <summary>Its bus.</summary>
    public byte bus;

    /// <summary>Device in bits 7:3, function in bits 2:0.</summary>
    public byte devfn;
}

/// <summary>VFIO_DEVICE_PCI_HOT_RESET: descriptors of the groups follow it; none when the device came from its own file.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_pci_hot_reset
{
    /// <summary>Size of this struct and of the descriptors.</summary>
    public uint argsz;

    /// <summary>0.</summary>
    public uint flags;

    /// <summary>How many descriptors follow.</summary>
    public uint count;
}

/// <summary>VFIO_DEVICE_FEATURE: what the feature needs follows it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_feature
{
    /// <summary>Size of this struct and of the data.</summary>
    public uint argsz;

    /// <summary>The feature in bits 15:0; GET, SET or PROBE above.</summary>
    public uint flags;
}

/// <summary>Data of VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_low_power_entry_with_wakeup
{
    /// <summary>An eventfd, signalled when something wakes the device.</summary>
    public int wakeup_eventfd;

    /// <summary>0.</summary>
    public uint reserved;
}

/// <summary>VFIO_DEVICE_BIND_IOMMUFD.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_bind_iommufd
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>0.</summary>
    public uint flags;

    /// <summary>Descriptor of <c>/dev/iommu</c>.</summary>
    public int iommufd;

    /// <summary>The device's number in it; the kernel's answer.</summary>
    public uint out_devid;
}

/// <summary>VFIO_DEVICE_ATTACH_IOMMUFD_PT.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_attach_iommufd_pt
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>VFIO_DEVICE_ATTACH_PASID: 1 when <see cref="pasid"/> is meant (Linux 6.15).</summary>
    public uint flags;

    /// <summary>The I/O address space; the kernel's answer is the page table it chose.</summary>
    public uint pt_id;

    /// <summary>The process address space of the device; looked at with that flag only.</summary>
    public uint pasid;
}

/// <summary>VFIO_DEVICE_DETACH_IOMMUFD_PT.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_device_detach_iommufd_pt
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>VFIO_DEVICE_DETACH_PASID: 1 when <see cref="pasid"/> is meant (Linux 6.15).</summary>
    public uint flags;

    /// <summary>The process address space of the device; looked at with that flag only.</summary>
    public uint pasid;
}

/// <summary>VFIO_IOMMU_GET_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_info
{
    /// <summary>Size of the answer.</summary>
    public uint argsz;

    /// <summary>VFIO_IOMMU_INFO_*.</summary>
    public uint flags;

    /// <summary>A bit for each page size.</summary>
    public ulong iova_pgsizes;

    /// <summary>Offset of the first capability; 0 for none.</summary>
    public uint cap_offset;

    /// <summary>Nothing.</summary>
    public uint pad;
}

/// <summary>Capability 1 of VFIO_IOMMU_GET_INFO: ranges of addresses follow it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_info_cap_iova_range
{
    /// <summary>Header.</summary>
    public vfio_info_cap_header header;

    /// <summary>How many ranges follow.</summary>
    public uint nr_iovas;

    /// <summary>Nothing.</summary>
    public uint reserved;
}

/// <summary>Addresses that may be mapped.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iova_range
{
    /// <summary>First address.</summary>
    public ulong start;

    /// <summary>Last address.</summary>
    public ulong end;
}

/// <summary>Capability 3 of VFIO_IOMMU_GET_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_info_dma_avail
{
    /// <summary>Header.</summary>
    public vfio_info_cap_header header;

    /// <summary>How many more mappings the container takes.</summary>
    public uint avail;
}

/// <summary>VFIO_IOMMU_MAP_DMA.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_dma_map
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>VFIO_DMA_MAP_FLAG_*: 1 the device may read, 2 it may write.</summary>
    public uint flags;

    /// <summary>Where the memory is in this process.</summary>
    public ulong vaddr;

    /// <summary>Where the device finds it.</summary>
    public ulong iova;

    /// <summary>Bytes.</summary>
    public ulong size;
}

/// <summary>VFIO_IOMMU_UNMAP_DMA.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct vfio_iommu_type1_dma_unmap
{
    /// <summary>Size of this struct.</summary>
    public uint argsz;

    /// <summary>VFIO_DMA_UNMAP_FLAG_*: 2 for everything.</summary>
    public uint flags;

    /// <summary>First address.</summary>
    public ulong iova;

    /// <summary>Bytes; the kernel's answer is how many were mapped.</summary>
    public ulong size;
}
