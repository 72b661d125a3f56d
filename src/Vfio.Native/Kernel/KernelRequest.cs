namespace Vfio.Native.Kernel;

#pragma warning disable IDE1006, CA1069, CS1591 // names and numbers are those of linux/vfio.h and linux/iommufd.h, where files of different kinds share some

/// <summary>What the kernel's VFIO and iommufd can be asked: the numbers of ioctl(2), by their names in the kernel's headers.</summary>
/// <remarks>The type of both is ';' (bits 15:8). The number is above 100 for VFIO, and above 128 for iommufd.</remarks>
internal enum KernelRequest : uint
{
    VFIO_GET_API_VERSION = 0x3b64,
    VFIO_CHECK_EXTENSION = 0x3b65,
    VFIO_SET_IOMMU = 0x3b66,
    VFIO_GROUP_GET_STATUS = 0x3b67,
    VFIO_GROUP_SET_CONTAINER = 0x3b68,
    VFIO_GROUP_UNSET_CONTAINER = 0x3b69,
    VFIO_GROUP_GET_DEVICE_FD = 0x3b6a,
    VFIO_DEVICE_GET_INFO = 0x3b6b,
    VFIO_DEVICE_GET_REGION_INFO = 0x3b6c,
    VFIO_DEVICE_GET_IRQ_INFO = 0x3b6d,
    VFIO_DEVICE_SET_IRQS = 0x3b6e,
    VFIO_DEVICE_RESET = 0x3b6f,
    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = 0x3b70,
    VFIO_DEVICE_PCI_HOT_RESET = 0x3b71,
    VFIO_DEVICE_IOEVENTFD = 0x3b74,
    VFIO_DEVICE_FEATURE = 0x3b75,
    VFIO_DEVICE_BIND_IOMMUFD = 0x3b76,
    VFIO_DEVICE_ATTACH_IOMMUFD_PT = 0x3b77,
    VFIO_DEVICE_DETACH_IOMMUFD_PT = 0x3b78,
    VFIO_MIG_GET_PRECOPY_INFO = 0x3b79,
    VFIO_IOMMU_GET_INFO = 0x3b70,
    VFIO_IOMMU_MAP_DMA = 0x3b71,
    VFIO_IOMMU_UNMAP_DMA = 0x3b72,
    VFIO_IOMMU_DIRTY_PAGES = 0x3b75,
    IOMMU_DESTROY = 0x3b80,
    IOMMU_IOAS_ALLOC = 0x3b81,
    IOMMU_IOAS_ALLOW_IOVAS = 0x3b82,
    IOMMU_IOAS_COPY = 0x3b83,
    IOMMU_IOAS_IOVA_RANGES = 0x3b84,
    IOMMU_IOAS_MAP = 0x3b85,
    IOMMU_IOAS_UNMAP = 0x3b86,
    IOMMU_OPTION = 0x3b87,
    IOMMU_VFIO_IOAS = 0x3b88,
    IOMMU_HWPT_ALLOC = 0x3b89,
    IOMMU_GET_HW_INFO = 0x3b8a,
    IOMMU_HWPT_SET_DIRTY_TRACKING = 0x3b8b,
    IOMMU_HWPT_GET_DIRTY_BITMAP = 0x3b8c,
    IOMMU_IOAS_MAP_FILE = 0x3b8f,
}
