namespace Vfio.Native.Kernel;

/// <summary><c>/dev/vfio/vfio</c>: an I/O address space that groups are put into. One method for each ioctl.</summary>
internal sealed unsafe class ContainerFile(FileDescriptor descriptor) : KernelFile(descriptor, "/dev/vfio/vfio")
{
    /// <summary>VFIO_GET_API_VERSION.</summary>
    internal int GetApiVersion() => Call(KernelRequest.VFIO_GET_API_VERSION, null);

    /// <summary>VFIO_CHECK_EXTENSION.</summary>
    internal bool HasExtension(ContainerExtension extension) => Call(KernelRequest.VFIO_CHECK_EXTENSION, (void*)(nint)extension) > 0;

    /// <summary>VFIO_SET_IOMMU: chooses the kind of I/O address space, once a group is in it.</summary>
    internal void SetIommu(ContainerExtension type) => Call(KernelRequest.VFIO_SET_IOMMU, (void*)(nint)type);

    /// <summary>VFIO_IOMMU_GET_INFO: the struct, and the capabilities that follow it.</summary>
    internal byte[] GetInfo() => InfoBuffer.Ask<vfio_iommu_type1_info>(bytes =>
    {
        // SAFETY: the kernel writes at most argsz bytes, which is the length of the pinned buffer.
        fixed (byte* info = bytes)
            Call(KernelRequest.VFIO_IOMMU_GET_INFO, info);
    });

    /// <summary>VFIO_IOMMU_MAP_DMA.</summary>
    internal void MapDma(in vfio_iommu_type1_dma_map map)
    {
        // SAFETY: the kernel reads the copy, which outlives the call, and pins the pages at vaddr.
        vfio_iommu_type1_dma_map copy = map with { argsz = (uint)sizeof(vfio_iommu_type1_dma_map) };
        Call(KernelRequest.VFIO_IOMMU_MAP_DMA, &copy);
    }

    /// <summary>VFIO_IOMMU_UNMAP_DMA.</summary>
    /// <returns>How many bytes were mapped.</returns>
    internal ulong UnmapDma(in vfio_iommu_type1_dma_unmap unmap)
    {
        // SAFETY: the kernel reads and writes the copy, which outlives the call; no bitmap follows it.
        vfio_iommu_type1_dma_unmap copy = unmap with { argsz = (uint)sizeof(vfio_iommu_type1_dma_unmap) };
        Call(KernelRequest.VFIO_IOMMU_UNMAP_DMA, &copy);
        return copy.size;
    }

    /// <summary>VFIO_IOMMU_UNMAP_DMA with VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP: which pages were written until then.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Bytes: whole mappings.</param>
    /// <param name="pageBytes">Bytes that a bit stands for; the container's smallest page.</param>
    /// <param name="bitmap">All zero, whole words of 64.</param>
    internal void UnmapDma(ulong start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        const uint GetDirtyBitmap = 1;
        byte* argument = stackalloc byte[sizeof(vfio_iommu_type1_dma_unmap) + sizeof(vfio_bitmap)];
        // SAFETY: the kernel writes at most size bytes to the pinned bitmap; both structs outlive the call.
        fixed (byte* data = bitmap)
        {
            *(vfio_iommu_type1_dma_unmap*)argument = new vfio_iommu_type1_dma_unmap
            {
                argsz = (uint)(sizeof(vfio_iommu_type1_dma_unmap) + sizeof(vfio_bitmap)),
                flags = GetDirtyBitmap,
                iova = start,
                size = length,
            };
            *(vfio_bitmap*)(argument + sizeof(vfio_iommu_type1_dma_unmap)) =
                new vfio_bitmap { pgsize = pageBytes, size = (ulong)bitmap.Length, data = (ulong)data };
            Call(KernelRequest.VFIO_IOMMU_UNMAP_DMA, argument);
        }
    }

    /// <summary>VFIO_IOMMU_DIRTY_PAGES, START or STOP: from now on, or no longer, on record.</summary>
    internal void SetDirtyPages(bool isOn)
    {
        // SAFETY: the kernel reads argsz bytes, and dirty outlives the call.
        vfio_iommu_type1_dirty_bitmap dirty = new() { argsz = (uint)sizeof(vfio_iommu_type1_dirty_bitmap), flags = isOn ? 1u : 2u };
        Call(KernelRequest.VFIO_IOMMU_DIRTY_PAGES, &dirty);
    }

    /// <summary>VFIO_IOMMU_DIRTY_PAGES, GET_BITMAP: which pages were written since it was last asked.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Bytes: whole mappings.</param>
    /// <param name="pageBytes">Bytes that a bit stands for; the container's smallest page.</param>
    /// <param name="bitmap">All zero, whole words of 64.</param>
    internal void GetDirtyBitmap(ulong start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        const uint GetBitmap = 4;
        byte* argument = stackalloc byte[sizeof(vfio_iommu_type1_dirty_bitmap) + sizeof(vfio_iommu_type1_dirty_bitmap_get)];
        // SAFETY: the kernel writes at most size bytes to the pinned bitmap; both structs outlive the call.
        fixed (byte* data = bitmap)
        {
            *(vfio_iommu_type1_dirty_bitmap*)argument = new vfio_iommu_type1_dirty_bitmap
            {
                argsz = (uint)(sizeof(vfio_iommu_type1_dirty_bitmap) + sizeof(vfio_iommu_type1_dirty_bitmap_get)),
                flags = GetBitmap,
            };
            *(vfio_iommu_type1_dirty_bitmap_get*)(argument + sizeof(vfio_iommu_type1_dirty_bitmap)) = new vfio_iommu_type1_dirty_bitmap_get
            {
                iova = start,
                size = length,
                bitmap = new vfio_bitmap { pgsize = pageBytes, size = (ulong)bitmap.Length, data = (ulong)data },
            };
            Call(KernelRequest.VFIO_IOMMU_DIRTY_PAGES, argument);
        }
    }
}

/// <summary>Extensions of a container: what kinds of I/O address space it can be, and what they can do.</summary>
internal enum ContainerExtension
{
    /// <summary>VFIO_TYPE1_IOMMU: page tables; a request that has a mapping's start unmaps all of it.</summary>
    Type1 = 1,

    /// <summary>VFIO_TYPE1v2_IOMMU: page tables; mappings are unmapped whole.</summary>
    Type1V2 = 3,

    /// <summary>VFIO_DMA_CC_IOMMU: accesses of devices are coherent with caches.</summary>
    CoherentDma = 4,

    /// <summary>VFIO_NOIOMMU_IOMMU: no translation and no protection.</summary>
    NoIommu = 8,

    /// <summary>VFIO_UNMAP_ALL: one request unmaps everything.</summary>
    UnmapAll = 9,

    /// <summary>VFIO_UPDATE_VADDR: the memory of a mapping can move to another place, or another process.</summary>
    UpdateVaddr = 10,
}
