using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary><c>/dev/iommu</c>: I/O address spaces, for devices from <c>/dev/vfio/devices</c>. One method for each ioctl.</summary>
internal sealed unsafe class IommuFile(FileDescriptor descriptor) : KernelFile(descriptor, "/dev/iommu")
{
    /// <summary>IOMMU_DESTROY.</summary>
    internal void Destroy(uint id)
    {
        // SAFETY: the kernel reads size bytes.
        iommu_destroy destroy = new() { size = (uint)sizeof(iommu_destroy), id = id };
        Call(KernelRequest.IOMMU_DESTROY, &destroy);
    }

    /// <summary>IOMMU_IOAS_ALLOC: makes an I/O address space.</summary>
    internal uint AllocateIoas()
    {
        // SAFETY: the kernel writes at most size bytes, and alloc outlives the call.
        iommu_ioas_alloc alloc = new() { size = (uint)sizeof(iommu_ioas_alloc) };
        Call(KernelRequest.IOMMU_IOAS_ALLOC, &alloc);
        return alloc.out_ioas_id;
    }

    /// <summary>IOMMU_IOAS_IOVA_RANGES: what may be mapped, narrowed by each device that is attached.</summary>
    internal iommu_iova_range[] GetIovaRanges(uint addressSpace)
    {
        iommu_iova_range[] ranges = new iommu_iova_range[16];
        while (true)
        {
            // SAFETY: the kernel writes at most num_iovas ranges to the pinned array.
            fixed (iommu_iova_range* to = ranges)
            {
                iommu_ioas_iova_ranges ask = new()
                {
                    size = (uint)sizeof(iommu_ioas_iova_ranges),
                    ioas_id = addressSpace,
                    num_iovas = (uint)ranges.Length,
                    allowed_iovas = (ulong)to,
                };
                if (TryCall(KernelRequest.IOMMU_IOAS_IOVA_RANGES, &ask) >= 0)
                    return ranges[..(int)ask.num_iovas];
                if ((Errno)Marshal.GetLastPInvokeError() != Errno.MessageTooLong)
                    throw VfioException.FromLastError("IOMMU_IOAS_IOVA_RANGES", Name);
                ranges = new iommu_iova_range[ask.num_iovas];
            }
        }
    }

    /// <summary>IOMMU_IOAS_MAP.</summary>
    internal void Map(in iommu_ioas_map map)
    {
        // SAFETY: the kernel reads the copy, which outlives the call, and pins the pages at user_va.
        iommu_ioas_map copy = map with { size = (uint)sizeof(iommu_ioas_map) };
        Call(KernelRequest.IOMMU_IOAS_MAP, &copy);
    }

    /// <summary>IOMMU_IOAS_UNMAP.</summary>
    /// <returns>How many bytes were mapped.</returns>
    internal ulong Unmap(uint addressSpace, ulong iova, ulong length)
    {
        // SAFETY: the kernel writes at most size bytes, and unmap outlives the call.
        iommu_ioas_unmap unmap = new() { size = (uint)sizeof(iommu_ioas_unmap), ioas_id = addressSpace, iova = iova, length = length };
        Call(KernelRequest.IOMMU_IOAS_UNMAP, &unmap);
        return unmap.length;
    }
}
