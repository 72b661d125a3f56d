using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>The container's ioctls on <c>/dev/iommu</c>, for one address space of it: <c>drivers/iommu/iommufd/vfio_compat.c</c>. Under the
/// iommufd's lock.</summary>
/// <remarks>They differ from a container's: no record of written pages, no limit of mappings, and ENODEV before there is an address
/// space.</remarks>
/// <param name="iommu">The iommufd.</param>
internal sealed class VfioCompatibility(ServedIommu iommu)
{
    private const ushort RangeCapability = 1, AvailableCapability = 3;
    private const uint HasPageSizes = 1, HasCapabilities = 2;
    private const uint MapRead = 1, MapWrite = 2, UnmapAll = 2;

    /// <summary>Answers an ioctl.</summary>
    internal long Ioctl(ICaller caller, uint request, ulong argument) => (KernelRequest)request switch
    {
        KernelRequest.VFIO_GET_API_VERSION => 0,
        KernelRequest.VFIO_CHECK_EXTENSION => CheckExtension(argument),
        KernelRequest.VFIO_SET_IOMMU => Answer.Of(SetIommu(argument)),
        KernelRequest.VFIO_IOMMU_GET_INFO => GetInfo(caller, argument),
        KernelRequest.VFIO_IOMMU_MAP_DMA => Answer.Of(Map(caller, argument)),
        KernelRequest.VFIO_IOMMU_UNMAP_DMA => Unmap(caller, argument),
        _ => Answer.Of(Errno.NoSuchOperation),
    };

    /// <summary>IOMMU_VFIO_IOAS: which address space it is.</summary>
    internal long SetSpace(ICaller caller, ulong argument, uint size)
    {
        const ushort Get = 0, Set = 1, Clear = 2;
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_vfio_ioas>(), out iommu_vfio_ioas ask);
        if (error == Errno.None && ask.__reserved != 0)
            error = Errno.NotSupported;
        if (error != Errno.None)
            return Answer.Of(error);
        switch (ask.op)
        {
            case Get when iommu.VfioSpace is null:
                return Answer.Of(Errno.NoDevice);
            case Get:
                ask.ioas_id = iommu.VfioSpace.Id;
                return ServedIommu.Respond(caller, argument, size, ask);
            case Set when !iommu.TryGet(ask.ioas_id, out Ioas? _):
                return Answer.Of(Errno.NoEntry);
            case Set:
                iommu.TryGet(ask.ioas_id, out Ioas? space);
                iommu.VfioSpace = space;
                return 0;
            case Clear:
                iommu.VfioSpace = null;
                return 0;
            default:
                return Answer.Of(Errno.NotSupported);
        }
    }

    private long CheckExtension(ulong extension) => (ContainerExtension)extension switch
    {
        ContainerExtension.Type1 or ContainerExtension.Type1V2 or ContainerExtension.UnmapAll => 1,
        ContainerExtension.CoherentDma => iommu.VfioSpace is null ? Answer.Of(Errno.NoDevice) : 1,
        _ => 0,
    };

    private Errno SetIommu(ulong type)
    {
        if ((ContainerExtension)type is not (ContainerExtension.Type1 or ContainerExtension.Type1V2))
            return Errno.InvalidArgument;
        if (iommu.VfioSpace is null)
            return Errno.NoDevice;

        // The first version may unmap parts, which no huge page has.
        return type == (ulong)ContainerExtension.Type1 ? IoasCommands.DisableHugePages(iommu.VfioSpace) : Errno.None;
    }

    private long GetInfo(ICaller caller, ulong argument)
    {
        const int LeastBytes = 16;
        if (!caller.TryRead(argument, LeastBytes, out vfio_iommu_type1_info info))
            return Answer.Of(Errno.BadAddress);
        if (info.argsz < LeastBytes)
            return Answer.Of(Errno.InvalidArgument);
        if (iommu.VfioSpace is not Ioas space)
            return Answer.Of(Errno.NoDevice);
        int structBytes = Blittable.SizeOf<vfio_iommu_type1_info>();
        int answered = (int)Math.Min(info.argsz, (uint)structBytes);
        CapabilityChain chain = new();
        chain.Add(new vfio_iommu_type1_info_dma_avail { avail = uint.MaxValue }, AvailableCapability);
        vfio_iova_range[] ranges = [.. space.GetRanges().Select(range => new vfio_iova_range { start = range.Start, end = range.Last })];
        chain.Add(
            new vfio_iommu_type1_info_cap_iova_range { nr_iovas = (uint)ranges.Length }, RangeCapability,
            Blittable.AsBytes<vfio_iova_range>(ranges));
        info.flags = HasPageSizes | HasCapabilities;
        info.iova_pgsizes = space.Tables.Count > 0 ? AddressSpace.PageSizes : ~(AddressSpace.PageBytes - 1);
        info.cap_offset = 0;
        if (info.argsz >= structBytes + chain.Length)
        {
            if (!chain.TryWrite(caller, argument, structBytes))
                return Answer.Of(Errno.BadAddress);
            info.cap_offset = (uint)structBytes;
        }

        info.argsz = (uint)(structBytes + chain.Length);
        return caller.Answer(argument, info, answered);
    }

    private Errno Map(ICaller caller, ulong argument)
    {
        const uint FixedIova = 1, Writable = 2, Readable = 4;
        if (!caller.TryRead(argument, out vfio_iommu_type1_dma_map map))
            return Errno.BadAddress;
        if (map.argsz < Blittable.SizeOf<vfio_iommu_type1_dma_map>() || (map.flags & ~(MapRead | MapWrite)) != 0)
            return Errno.InvalidArgument;
        if (iommu.VfioSpace is null)
            return Errno.NoDevice;
        iommu_ioas_map request = new()
        {
            flags = FixedIova | ((map.flags & MapRead) != 0 ? Readable : 0) | ((map.flags & MapWrite) != 0 ? Writable : 0),
            user_va = map.vaddr,
            length = map.size,
            iova = map.iova,
        };
        return IoasCommands.Map(caller, iommu.VfioSpace, ref request);
    }

    private long Unmap(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_iommu_type1_dma_unmap unmap))
            return Answer.Of(Errno.BadAddress);
        if (unmap.argsz < Blittable.SizeOf<vfio_iommu_type1_dma_unmap>() || (unmap.flags & ~UnmapAll) != 0)
            return Answer.Of(Errno.InvalidArgument);
        if (iommu.VfioSpace is not Ioas space)
            return Answer.Of(Errno.NoDevice);
        Errno error;
        ulong bytes = 0;
        if ((unmap.flags & UnmapAll) != 0)
        {
            if ((unmap.iova | unmap.size) != 0)
                return Answer.Of(Errno.InvalidArgument);
            error = IoasCommands.Unmap(space, 0, ulong.MaxValue, out bytes);
        }
        else if (unmap.size == 0 || unmap.size - 1 > ulong.MaxValue - unmap.iova)
        {
            error = unmap.size == 0 ? Errno.InvalidArgument : Errno.Overflow;
        }
        else
        {
            error = IoasCommands.Unmap(space, unmap.iova, unmap.iova + (unmap.size - 1), out bytes);
        }

        // How much was unmapped is said even where it ended with an error.
        unmap.size = bytes;
        long result = caller.Answer(argument, unmap);
        return result != 0 ? result : Answer.Of(error);
    }
}
