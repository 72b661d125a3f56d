using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>Devices and page tables of an iommufd: <c>drivers/iommu/iommufd/device.c</c> and <c>hw_pagetable.c</c>. Under the iommufd's
/// lock.</summary>
/// <remarks>The IOMMU is nobody's in particular, so there are no nested page tables, and no queues of faults.</remarks>
/// <param name="iommu">The iommufd.</param>
internal sealed class PageTableCommands(ServedIommu iommu)
{
    private const uint NestParent = 1, DirtyTracking = 2, HasFaultQueue = 4, AllFlags = 15;
    private const uint AllocLeastBytes = 24, HwInfoLeastBytes = 32;

    /// <summary>Answers an ioctl; null when it is none of these.</summary>
    internal long? Ioctl(ICaller caller, KernelRequest request, ulong argument, uint size) => request switch
    {
        KernelRequest.IOMMU_HWPT_ALLOC => Allocate(caller, argument, size),
        KernelRequest.IOMMU_GET_HW_INFO => GetInfo(caller, argument, size),
        KernelRequest.IOMMU_HWPT_SET_DIRTY_TRACKING => Answer.Of(SetDirtyTracking(caller, argument, size)),
        KernelRequest.IOMMU_HWPT_GET_DIRTY_BITMAP => Answer.Of(GetDirtyBitmap(caller, argument, size)),
        _ => null,
    };

    /// <summary>Attaches a device, or moves it to another page table. All attached devices of a group use the same one.</summary>
    /// <param name="bound">The device.</param>
    /// <param name="target">A page table, or an address space, which gets one where it has none.</param>
    /// <param name="table">The page table that the device uses then.</param>
    /// <returns>EINVAL: the target is neither, or other devices of the group use another one; EADDRINUSE: something is mapped, or was allowed, where the
    /// device cannot reach.</returns>
    /// <exception cref="VfioException">The device refuses a mapping; it then uses what it used before.</exception>
    internal Errno Attach(IommuDevice bound, IommuObject target, out PageTable? table)
    {
        table = target as PageTable;
        if (target is Ioas space)
        {
            table = space.Tables.Find(candidate => candidate.IsAutomatic);
            if (table is null)
                return AttachToNew(bound, space, out table);
        }

        return table is null ? Errno.InvalidArgument : Use(bound, table);
    }

    /// <summary>Takes its page table from a device.</summary>
    internal void Detach(IommuDevice bound)
    {
        if (bound.Table is not PageTable table)
            return;
        bound.Table = null;
        bound.Device.Dirty.Stop(DirtyUser.PageTable);
        bound.Device.Detach();
        Release(table);
    }

    private Errno AttachToNew(IommuDevice bound, Ioas space, out PageTable? table)
    {
        Errno error = Add(space, isAutomatic: true, hasDirtyTracking: false, out table);
        if (error != Errno.None)
            return error;
        try
        {
            error = Use(bound, table!);
            return error;
        }
        finally
        {
            if (bound.Table != table)
                iommu.Remove(table!);
        }
    }

    /// <summary>Adds a page table to an address space, whose mappings have to fit.</summary>
    private Errno Add(Ioas space, bool isAutomatic, bool hasDirtyTracking, out PageTable? table)
    {
        table = null;
        Errno error = space.CheckFits(Ioas.AsIntervals(AddressSpace.TranslatedRanges));
        if (error != Errno.None)
            return error;
        table = new PageTable(space, isAutomatic, hasDirtyTracking);
        space.Tables.Add(table);
        space.Users++;
        iommu.Add(table);
        return Errno.None;
    }

    private Errno Use(IommuDevice bound, PageTable table)
    {
        if (bound.Table == table)
            return Errno.None;
        List<IommuDevice> siblings = [.. iommu.Objects.OfType<IommuDevice>().Where(other =>
            other != bound && other.Table is not null && other.Device.Function.Group == bound.Device.Function.Group)];

        // A device that comes to its group follows it; one that moves takes the group along.
        if (bound.Table is null && siblings.Exists(other => other.Table != table))
            return Errno.InvalidArgument;
        if (table.HasDirtyTracking && !bound.Device.Dirty.IsAble)
            return Errno.InvalidArgument;
        Errno error = table.Space.CheckFits(Ioas.AsIntervals(AddressSpace.GetReach(AddressSpace.TranslatedRanges, bound.Device.Device)));
        if (error != Errno.None)
            return error;
        Move(bound, table);
        foreach (IommuDevice other in bound.Table is null ? [] : siblings)
        {
            if (other.Table != table)
                Move(other, table);
        }

        return Errno.None;
    }

    /// <summary>Moves a device to the address space of a page table, or leaves it where it is.</summary>
    private void Move(IommuDevice bound, PageTable table)
    {
        PageTable? former = bound.Table;
        if (former?.Space != table.Space)
        {
            bound.Device.Detach();
            try
            {
                bound.Device.Attach(table.Space.Space);
            }
            catch when (former is not null)
            {
                bound.Device.Attach(former.Space.Space);
                throw;
            }
        }

        bound.Table = table;
        table.Users++;
        if (table.IsTracking)
            bound.Device.Dirty.Start(DirtyUser.PageTable);
        else
            bound.Device.Dirty.Stop(DirtyUser.PageTable);
        if (former is not null)
            Release(former);
    }

    private void Release(PageTable table)
    {
        if (--table.Users == 0 && table.IsAutomatic)
            iommu.Remove(table);
    }

    private long Allocate(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, (int)AllocLeastBytes, out iommu_hwpt_alloc alloc);
        if (error == Errno.None && alloc.__reserved != 0)
            error = Errno.NotSupported;
        if (error == Errno.None && (alloc.data_type == 0) != (alloc.data_len == 0))
            error = Errno.InvalidArgument;
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(alloc.dev_id, out IommuDevice? bound))
            return Answer.Of(Errno.NoEntry);
        if (!iommu.TryGet(alloc.pt_id, out IommuObject? parent) || parent is IommuDevice)
            return Answer.Of(Errno.InvalidArgument);
        PageTable? table = null;
        error = parent is Ioas space ? CheckFlags(bound, alloc) : Errno.NotSupported;
        if (error == Errno.None)
            error = Add((Ioas)parent, isAutomatic: false, (alloc.flags & DirtyTracking) != 0, out table);
        if (error != Errno.None)
            return Answer.Of(error);
        alloc.out_hwpt_id = table!.Id;
        long result = ServedIommu.Respond(caller, argument, size, alloc);
        if (result != 0)
            iommu.Remove(table);
        return result;
    }

    /// <summary>What this IOMMU has of what can be asked for: dirty tracking where the device tracks; a table may be a parent, though it will have
    /// no children.</summary>
    private static Errno CheckFlags(IommuDevice bound, in iommu_hwpt_alloc alloc)
    {
        if ((alloc.flags & ~AllFlags) != 0 || alloc.data_len != 0)
            return Errno.NotSupported;
        if ((alloc.flags & HasFaultQueue) != 0)
            return (alloc.flags & NestParent) != 0 ? Errno.NotSupported : Errno.NoEntry;
        return (alloc.flags & ~(NestParent | DirtyTracking)) != 0 || ((alloc.flags & DirtyTracking) != 0 && !bound.Device.Dirty.IsAble)
            ? Errno.NotSupported
            : Errno.None;
    }

    private long GetInfo(ICaller caller, ulong argument, uint size)
    {
        const uint TypeIsInput = 1;
        const ulong HasDirtyTracking = 1, HasNoAts = 8;
        const int MaxDataBytes = 64 << 10;
        Errno error = ServedIommu.Read(caller, argument, size, (int)HwInfoLeastBytes, out iommu_hw_info info);
        if (error == Errno.None && ((info.flags & ~TypeIsInput) != 0 || info.HasReserved))
            error = Errno.NotSupported;
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(info.dev_id, out IommuDevice? bound))
            return Answer.Of(Errno.NoEntry);

        // There is no data of an IOMMU of a certain kind: the buffer is zeroed.
        if (info.data_len > MaxDataBytes)
            return Answer.Of(Errno.TooBig);
        if (!caller.TryWrite(info.data_uptr, new byte[info.data_len]))
            return Answer.Of(Errno.BadAddress);
        info.data_len = 0;
        info.out_data_type = 0;
        info.out_max_pasid_log2 = 0;
        info.out_capabilities = HasNoAts | (bound.Device.Dirty.IsAble ? HasDirtyTracking : 0);
        return ServedIommu.Respond(caller, argument, size, info);
    }

    private Errno SetDirtyTracking(ICaller caller, ulong argument, uint size)
    {
        const uint Enable = 1;
        Errno error = ServedIommu.Read(
            caller, argument, size, Blittable.SizeOf<iommu_hwpt_set_dirty_tracking>(), out iommu_hwpt_set_dirty_tracking set);
        if (error == Errno.None && (set.flags & ~Enable) != 0)
            error = Errno.NotSupported;
        if (error != Errno.None)
            return error;
        if (!iommu.TryGet(set.hwpt_id, out PageTable? table))
            return Errno.NoEntry;
        if (!table.HasDirtyTracking)
            return Errno.NotSupported;
        table.SetTracking((set.flags & Enable) != 0, DevicesOf(table));
        return Errno.None;
    }

    private Errno GetDirtyBitmap(ICaller caller, ulong argument, uint size)
    {
        const uint NoClear = 1;
        Errno error = ServedIommu.Read(
            caller, argument, size, Blittable.SizeOf<iommu_hwpt_get_dirty_bitmap>(), out iommu_hwpt_get_dirty_bitmap get);
        if (error == Errno.None && ((get.flags & ~NoClear) != 0 || get.__reserved != 0))
            error = Errno.NotSupported;
        if (error != Errno.None)
            return error;
        if (!iommu.TryGet(get.hwpt_id, out PageTable? table))
            return Errno.NoEntry;
        if (get.length == 0)
            return Errno.InvalidArgument;
        if (get.length - 1 > ulong.MaxValue - get.iova)
            return Errno.Overflow;
        ulong mask = (table.Space.Alignment - 1) | (get.page_size - 1);
        if (get.page_size == 0 || !ulong.IsPow2(get.page_size) || ((get.iova | get.length) & mask) != 0)
            return Errno.InvalidArgument;
        if (!table.HasDirtyTracking)
            return Errno.NotSupported;
        DirtyReport report = new(caller, get.iova, get.length, get.page_size, get.data);
        return table.Report(report, DevicesOf(table), clears: (get.flags & NoClear) == 0);
    }

    private IEnumerable<OpenDevice> DevicesOf(PageTable table) =>
        iommu.Objects.OfType<IommuDevice>().Where(bound => bound.Table == table).Select(bound => bound.Device);
}
