using System.Runtime.InteropServices;

namespace Vfio.Native.Kernel;

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

    /// <summary>IOMMU_OPTION_RLIMIT_MODE: pinned memory counts against the limit of the user who maps it, although root opened the file, whose
    /// memory has no limit. Before anything else is made in it.</summary>
    internal void CountMemoryOfUser()
    {
        // SAFETY: the kernel reads size bytes. Where this process may not set it, it is so already.
        iommu_option option = new() { size = (uint)sizeof(iommu_option) };
        if (TryCall(KernelRequest.IOMMU_OPTION, &option) < 0 && (Errno)Marshal.GetLastPInvokeError() != Errno.OperationNotPermitted)
            throw VfioException.FromLastError("IOMMU_OPTION", Name);
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

    /// <summary>IOMMU_GET_HW_INFO: what the IOMMU of a device can do.</summary>
    internal iommu_hw_info GetHwInfo(uint device)
    {
        // SAFETY: the kernel writes at most size bytes, and info outlives the call; no data of the IOMMU's own is asked for.
        iommu_hw_info info = new() { size = (uint)sizeof(iommu_hw_info), dev_id = device };
        Call(KernelRequest.IOMMU_GET_HW_INFO, &info);
        return info;
    }

    /// <summary>IOMMU_HWPT_ALLOC: makes a page table of an I/O address space, for the IOMMU of a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="addressSpace">The I/O address space.</param>
    /// <param name="flags">IOMMU_HWPT_ALLOC_*: 2 for dirty tracking; 8 for use with PASIDs (Linux 6.15).</param>
    internal uint AllocatePageTable(uint device, uint addressSpace, uint flags)
    {
        // SAFETY: the kernel writes at most size bytes, and alloc outlives the call.
        iommu_hwpt_alloc alloc = new() { size = (uint)sizeof(iommu_hwpt_alloc), flags = flags, dev_id = device, pt_id = addressSpace };
        Call(KernelRequest.IOMMU_HWPT_ALLOC, &alloc);
        return alloc.out_hwpt_id;
    }

    /// <summary>IOMMU_HWPT_SET_DIRTY_TRACKING.</summary>
    internal void SetDirtyTracking(uint pageTable, bool isOn)
    {
        // SAFETY: the kernel reads size bytes, and set outlives the call.
        iommu_hwpt_set_dirty_tracking set = new()
        {
            size = (uint)sizeof(iommu_hwpt_set_dirty_tracking),
            flags = isOn ? 1u : 0,
            hwpt_id = pageTable,
        };
        Call(KernelRequest.IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
    }

    /// <summary>IOMMU_HWPT_GET_DIRTY_BITMAP: which pages were written since it was last asked.</summary>
    /// <param name="pageTable">The page table.</param>
    /// <param name="start">First address.</param>
    /// <param name="length">Bytes, all of them mapped.</param>
    /// <param name="pageBytes">Bytes that a bit stands for; divides both.</param>
    /// <param name="bitmap">Bits are set in it; as many as there are pages.</param>
    internal void GetDirtyBitmap(uint pageTable, ulong start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        // SAFETY: the kernel sets bits of the pinned bitmap, one for each page; the caller made it long enough.
        fixed (byte* data = bitmap)
        {
            iommu_hwpt_get_dirty_bitmap get = new()
            {
                size = (uint)sizeof(iommu_hwpt_get_dirty_bitmap),
                hwpt_id = pageTable,
                iova = start,
                length = length,
                page_size = pageBytes,
                data = (ulong)data,
            };
            Call(KernelRequest.IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
        }
    }
}
