using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>The ioctls of a container's address space, type 1: <c>drivers/vfio/vfio_iommu_type1.c</c>.</summary>
/// <param name="space">The address space.</param>
/// <param name="isV2">Whether requests may not cut mappings; otherwise one that has a mapping's start unmaps all of it, and one that only
/// has its end nothing.</param>
internal sealed class TypeOneSpace(AddressSpace space, bool isV2)
{
    private const ushort RangeCapability = 1, MigrationCapability = 2, AvailableCapability = 3;
    private const uint HasPageSizes = 1, HasCapabilities = 2;
    private const uint AccessMask = (uint)DmaAccess.ReadWrite, MapVaddr = 4;
    private const uint UnmapGetBitmap = 1, UnmapAll = 2, UnmapVaddr = 4;

    /// <summary>A bitmap of this size covers 8 TiB of pages; <c>DIRTY_BITMAP_SIZE_MAX</c>.</summary>
    private const ulong MaxBitmapBytes = 256 << 20;

    private int _invalid;
    private bool _isTracking;

    /// <summary>The address space.</summary>
    internal AddressSpace Space { get; } = space;

    /// <summary>Whether mappings wait for their new memory: VFIO_DMA_UNMAP_FLAG_VADDR.</summary>
    internal bool HasInvalid => Volatile.Read(ref _invalid) > 0;

    /// <summary>Answers an ioctl.</summary>
    internal long Ioctl(ICaller caller, uint request, ulong argument) => (KernelRequest)request switch
    {
        KernelRequest.VFIO_IOMMU_GET_INFO => GetInfo(caller, argument),
        KernelRequest.VFIO_IOMMU_MAP_DMA => Map(caller, argument),
        KernelRequest.VFIO_IOMMU_UNMAP_DMA => Unmap(caller, argument),
        KernelRequest.VFIO_IOMMU_DIRTY_PAGES => Answer.Of(SetDirtyPages(caller, argument)),
        _ => Answer.Of(Errno.NoSuchOperation),
    };

    private long GetInfo(ICaller caller, ulong argument)
    {
        const int LeastBytes = 16;
        if (!caller.TryRead(argument, LeastBytes, out vfio_iommu_type1_info info))
            return Answer.Of(Errno.BadAddress);
        if (info.argsz < LeastBytes)
            return Answer.Of(Errno.InvalidArgument);
        int structBytes = Blittable.SizeOf<vfio_iommu_type1_info>();
        int answered = (int)Math.Min(info.argsz, (uint)structBytes);
        CapabilityChain chain = new();
        lock (Space.Lock)
        {
            chain.Add(
                new vfio_iommu_type1_info_cap_migration { pgsize_bitmap = AddressSpace.PageBytes, max_dirty_bitmap_size = MaxBitmapBytes },
                MigrationCapability);
            chain.Add(
                new vfio_iommu_type1_info_dma_avail { avail = (uint)(AddressSpace.MaxMappings - Space.Mappings.Count) }, AvailableCapability);
            AddRanges(chain, Space.GetRanges());
        }

        info.flags = HasPageSizes | HasCapabilities;
        info.iova_pgsizes = AddressSpace.PageSizes;
        if (info.argsz < structBytes + chain.Length)
            info.argsz = (uint)(structBytes + chain.Length);
        else if (chain.TryWrite(caller, argument, structBytes))
            info.cap_offset = (uint)structBytes;
        else
            return Answer.Of(Errno.BadAddress);
        return caller.Answer(argument, info, answered);
    }

    private static void AddRanges(CapabilityChain chain, IReadOnlyList<IovaRange> ranges)
    {
        vfio_iova_range[] list = [.. ranges.Select(range => new vfio_iova_range { start = range.Start.Value, end = range.Last.Value })];
        chain.Add(
            new vfio_iommu_type1_info_cap_iova_range { nr_iovas = (uint)list.Length }, RangeCapability,
            Blittable.AsBytes<vfio_iova_range>(list));
    }

    private long Map(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_iommu_type1_dma_map map))
            return Answer.Of(Errno.BadAddress);
        if (map.argsz < Blittable.SizeOf<vfio_iommu_type1_dma_map>() || (map.flags & ~(AccessMask | MapVaddr)) != 0 || map.size == 0)
            return Answer.Of(Errno.InvalidArgument);
        if (map.size - 1 > ulong.MaxValue - map.iova || map.size - 1 > ulong.MaxValue - map.vaddr)
            return Answer.Of(Errno.Overflow);
        bool isUpdate = (map.flags & MapVaddr) != 0;
        if (isUpdate == ((map.flags & AccessMask) != 0))
            return Answer.Of(Errno.InvalidArgument);
        lock (Space.Lock)
        {
            if (((map.size | map.iova | map.vaddr) & (AddressSpace.PageBytes - 1)) != 0)
                return Answer.Of(Errno.InvalidArgument);
            return Answer.Of(isUpdate ? Update(caller, map) : Add(caller, map));
        }
    }

    private Errno Add(ICaller caller, in vfio_iommu_type1_dma_map map)
    {
        ulong last = map.iova + (map.size - 1);
        if (Space.Find(map.iova, last, out _) > 0)
            return Errno.Exists;
        if (Space.Mappings.Count >= AddressSpace.MaxMappings)
            return Errno.NoSpace;
        ulong first = map.iova;
        if (!Space.GetRanges().Any(range => first >= range.Start.Value && last <= range.Last.Value))
            return Errno.InvalidArgument;
        DmaAccess access = (DmaAccess)(map.flags & AccessMask);
        DmaMemory? memory = caller.GetMemory(map.vaddr, map.size, (access & DmaAccess.Write) != 0) ?? caller.GetBar(map.vaddr, map.size);
        if (memory is null)
            return Errno.BadAddress;
        try
        {
            Space.Add(new SpaceMapping(map.iova, map.size, access, memory, 0, (access & DmaAccess.Write) != 0));
            return Errno.None;
        }
        catch
        {
            memory.Release();
            throw;
        }
    }

    /// <summary>Gives a mapping other memory, which has the same content: VFIO_DMA_MAP_FLAG_VADDR.</summary>
    private Errno Update(ICaller caller, in vfio_iommu_type1_dma_map map)
    {
        if (Space.Find(map.iova, map.iova + (map.size - 1), out int first) == 0)
            return Errno.NoEntry;
        SpaceMapping mapping = Space.Mappings[first];
        if (!mapping.IsInvalid || mapping.Start != map.iova || mapping.Length != map.size)
            return Errno.InvalidArgument;
        DmaMemory? memory = caller.GetMemory(map.vaddr, map.size, (mapping.Access & DmaAccess.Write) != 0);
        if (memory is null)
            return Errno.BadAddress;
        try
        {
            Space.Replace(first, new SpaceMapping(map.iova, map.size, mapping.Access, memory, 0, mapping.IsMemoryWritable));
        }
        catch
        {
            memory.Release();
            throw;
        }

        _invalid--;
        return Errno.None;
    }

    private long Unmap(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_iommu_type1_dma_unmap unmap))
            return Answer.Of(Errno.BadAddress);
        int structBytes = Blittable.SizeOf<vfio_iommu_type1_dma_unmap>();
        if (unmap.argsz < structBytes || (unmap.flags & ~(UnmapGetBitmap | UnmapAll | UnmapVaddr)) != 0)
            return Answer.Of(Errno.InvalidArgument);
        DirtyReport report = default;
        Errno error = (unmap.flags & UnmapGetBitmap) == 0 ? Errno.None : ReadReport(caller, argument, unmap, out report);
        if (error == Errno.None)
        {
            lock (Space.Lock)
                error = Unmap(ref unmap, report);
        }

        return error != Errno.None ? Answer.Of(error) : caller.Answer(argument, unmap);
    }

    /// <summary>Reads where the written pages of what is unmapped are to be reported.</summary>
    private static Errno ReadReport(ICaller caller, ulong argument, in vfio_iommu_type1_dma_unmap unmap, out DirtyReport report)
    {
        report = default;
        int structBytes = Blittable.SizeOf<vfio_iommu_type1_dma_unmap>();
        if ((unmap.flags & (UnmapAll | UnmapVaddr)) != 0 || unmap.argsz < structBytes + Blittable.SizeOf<vfio_bitmap>())
            return Errno.InvalidArgument;
        if (!caller.TryRead(argument + (uint)structBytes, out vfio_bitmap bitmap))
            return Errno.BadAddress;
        report = new DirtyReport(caller, unmap.iova, unmap.size, bitmap.pgsize, bitmap.data);
        return CheckBitmap(bitmap, unmap.size);
    }

    /// <summary>Whether a bitmap has a bit for each page of a range.</summary>
    private static Errno CheckBitmap(in vfio_bitmap bitmap, ulong length)
    {
        if (!ulong.IsPow2(bitmap.pgsize) || !CallerMemory.IsUser(bitmap.data, bitmap.size))
            return Errno.InvalidArgument;
        ulong pages = length / bitmap.pgsize;
        return pages > 0 && bitmap.size is > 0 and <= MaxBitmapBytes && bitmap.size >= (pages + 63) / 64 * 8
            ? Errno.None
            : Errno.InvalidArgument;
    }

    private Errno Unmap(ref vfio_iommu_type1_dma_unmap unmap, in DirtyReport report)
    {
        bool reports = (unmap.flags & UnmapGetBitmap) != 0;
        Errno error = FindUnmapped(unmap, out int first, out int count);
        if (error == Errno.None && reports && (!_isTracking || report.PageBytes != AddressSpace.PageBytes))
            error = Errno.InvalidArgument;
        if (error != Errno.None)
            return error;
        if ((unmap.flags & UnmapVaddr) != 0)
            return Invalidate(first, count, out unmap.size);
        for (int i = first; i < first + count; i++)
            _invalid -= Space.Mappings[i].IsInvalid ? 1 : 0;
        IovaInterval[] removed = [.. reports ? Mapped(first, count) : []];
        unmap.size = Space.Remove(first, count);
        return reports ? Report(report, removed) : Errno.None;
    }

    private Errno SetDirtyPages(ICaller caller, ulong argument)
    {
        const uint Start = 1, Stop = 2, GetBitmap = 4;
        if (!isV2)
            return Errno.AccessDenied;
        if (!caller.TryRead(argument, out vfio_iommu_type1_dirty_bitmap dirty))
            return Errno.BadAddress;
        if (dirty.argsz < Blittable.SizeOf<vfio_iommu_type1_dirty_bitmap>())
            return Errno.InvalidArgument;
        switch (dirty.flags)
        {
            case Start or Stop:
                lock (Space.Lock)
                    _isTracking = dirty.flags == Start;
                return Errno.None;
            case GetBitmap:
                return GetDirtyBitmap(caller, argument, dirty.argsz);
            default:
                return Errno.InvalidArgument;
        }
    }

    private Errno GetDirtyBitmap(ICaller caller, ulong argument, uint size)
    {
        const ulong PageMask = AddressSpace.PageBytes - 1;
        int structBytes = Blittable.SizeOf<vfio_iommu_type1_dirty_bitmap>();
        if (size < structBytes + Blittable.SizeOf<vfio_iommu_type1_dirty_bitmap_get>())
            return Errno.InvalidArgument;
        if (!caller.TryRead(argument + (uint)structBytes, out vfio_iommu_type1_dirty_bitmap_get get))
            return Errno.BadAddress;
        if (get.size == 0)
            return Errno.InvalidArgument;
        if (get.size - 1 > ulong.MaxValue - get.iova)
            return Errno.Overflow;
        Errno error = CheckBitmap(get.bitmap, get.size);
        if (error != Errno.None)
            return error;
        if (get.bitmap.pgsize != AddressSpace.PageBytes || ((get.iova | get.size) & PageMask) != 0)
            return Errno.InvalidArgument;
        DirtyReport report = new(caller, get.iova, get.size, get.bitmap.pgsize, get.bitmap.data);
        lock (Space.Lock)
        {
            int count = Space.Find(report.Start, report.Last, out int first);
            bool cuts = count > 0 && (Space.Mappings[first].Start < report.Start || Space.Mappings[first + count - 1].Last > report.Last);
            return cuts || !_isTracking ? Errno.InvalidArgument : Report(report, [.. Mapped(first, count)]);
        }
    }

    private IEnumerable<IovaInterval> Mapped(int first, int count) =>
        Space.Mappings.Skip(first).Take(count).Select(mapping => new IovaInterval(mapping.Start, mapping.Last));

    /// <summary>Reports all that is mapped: vfio-pci keeps no record, so every page counts that a device could have written, each time.
    /// </summary>
    private static Errno Report(DirtyReport report, IovaInterval[] mapped) => report.Fill(mapped, window =>
    {
        foreach (IovaInterval area in mapped)
        {
            if (area.Start <= window.Start + (window.Length - 1) && area.Last >= window.Start)
                window.Mark(area.Start, area.Last);
        }
    });

    private Errno FindUnmapped(in vfio_iommu_type1_dma_unmap unmap, out int first, out int count)
    {
        (first, count) = (0, 0);
        if ((unmap.iova & (AddressSpace.PageBytes - 1)) != 0)
            return Errno.InvalidArgument;
        if ((unmap.flags & UnmapAll) != 0)
        {
            count = Space.Mappings.Count;
            return (unmap.iova | unmap.size) != 0 ? Errno.InvalidArgument : Errno.None;
        }

        if (unmap.size == 0 || (unmap.size & (AddressSpace.PageBytes - 1)) != 0)
            return Errno.InvalidArgument;
        if (unmap.size - 1 > ulong.MaxValue - unmap.iova)
            return Errno.Overflow;
        ulong last = unmap.iova + (unmap.size - 1);
        count = Space.Find(unmap.iova, last, out first);
        if (count == 0)
            return Errno.None;
        bool cutsFirst = Space.Mappings[first].Start < unmap.iova;
        if (isV2)
            return cutsFirst || Space.Mappings[first + count - 1].Last > last ? Errno.InvalidArgument : Errno.None;
        if (cutsFirst)
            count = 0;
        return Errno.None;
    }

    /// <summary>Marks mappings whose memory will move to another place of the process, or another process; devices use it until then.</summary>
    private Errno Invalidate(int first, int count, out ulong bytes)
    {
        bytes = 0;
        for (int i = first; i < first + count; i++)
        {
            if (Space.Mappings[i].IsInvalid)
                return Errno.InvalidArgument;
        }

        for (int i = first; i < first + count; i++)
        {
            Space.Mappings[i].IsInvalid = true;
            bytes += Space.Mappings[i].Length;
        }

        _invalid += count;
        return Errno.None;
    }
}
