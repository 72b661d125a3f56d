using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>What programs ask of the address spaces of an iommufd: <c>drivers/iommu/iommufd/ioas.c</c>. Under the iommufd's lock.</summary>
/// <param name="iommu">The iommufd.</param>
internal sealed class IoasCommands(ServedIommu iommu)
{
    private const uint FixedIova = 1, Writable = 2, Readable = 4, MapFlags = FixedIova | Writable | Readable;
    private const int MaxAllowedRanges = 4096;

    /// <summary>Answers an ioctl; null when it is none of these.</summary>
    internal long? Ioctl(ICaller caller, KernelRequest request, ulong argument, uint size) => request switch
    {
        KernelRequest.IOMMU_IOAS_ALLOC => Allocate(caller, argument, size),
        KernelRequest.IOMMU_IOAS_ALLOW_IOVAS => Answer.Of(Allow(caller, argument, size)),
        KernelRequest.IOMMU_IOAS_IOVA_RANGES => GetRanges(caller, argument, size),
        KernelRequest.IOMMU_IOAS_MAP => Map(caller, argument, size),
        KernelRequest.IOMMU_IOAS_MAP_FILE => MapFile(caller, argument, size),
        KernelRequest.IOMMU_IOAS_COPY => Copy(caller, argument, size),
        KernelRequest.IOMMU_IOAS_UNMAP => Unmap(caller, argument, size),
        _ => null,
    };

    /// <summary>IOMMU_OPTION_HUGE_PAGES.</summary>
    internal Errno SetHugePages(ref iommu_option option)
    {
        const ushort Set = 0, Get = 1;
        if (!iommu.TryGet(option.object_id, out Ioas? space))
            return Errno.NoEntry;
        switch (option.op)
        {
            case Get:
                option.val64 = space.HasHugePages ? 1u : 0;
                return Errno.None;
            case Set when option.val64 == 1:
                space.HasHugePages = true;
                return Errno.None;
            case Set when option.val64 == 0:
                return DisableHugePages(space);
            case Set:
                return Errno.InvalidArgument;
            default:
                return Errno.NotSupported;
        }
    }

    /// <summary>No huge pages from now on: possible while no table could have any.</summary>
    internal static Errno DisableHugePages(Ioas space)
    {
        if (!space.HasHugePages)
            return Errno.None;
        lock (space.Space.Lock)
        {
            if (space.Tables.Count > 0 && space.Space.Mappings.Count > 0)
                return Errno.InvalidArgument;
        }

        Errno error = space.CheckFits([new IovaInterval(0, ulong.MaxValue)]);
        space.HasHugePages = error != Errno.None;
        return error;
    }

    /// <summary>Maps memory of the caller's.</summary>
    /// <param name="caller">Who has it.</param>
    /// <param name="space">The address space.</param>
    /// <param name="request">Where it is, and where it is to be; the address that was chosen.</param>
    /// <returns>The error.</returns>
    internal static Errno Map(ICaller caller, Ioas space, ref iommu_ioas_map request)
    {
        if (request.length == 0)
            return Errno.InvalidArgument;
        if (request.length - 1 > ulong.MaxValue - request.user_va)
            return Errno.Overflow;
        DmaAccess access = AccessOf(request.flags);
        Errno error = Place(space, request.flags, request.user_va, request.length, ref request.iova);
        if (error != Errno.None)
            return error;
        DmaMemory? memory = caller.GetMemory(request.user_va, request.length, (access & DmaAccess.Write) != 0);
        if (memory is null)
            return Errno.BadAddress;
        return Add(space, new SpaceMapping(request.iova, request.length, access, memory, 0, (access & DmaAccess.Write) != 0)
        {
            PageOffset = request.user_va & (AddressSpace.PageBytes - 1),
        });
    }

    /// <summary>Unmaps what is in a range. Mappings below one that would be cut are unmapped all the same.</summary>
    /// <returns>ENOENT: one would be cut.</returns>
    internal static Errno Unmap(Ioas space, ulong start, ulong last, out ulong bytes)
    {
        lock (space.Space.Lock)
        {
            int count = space.Space.Find(start, last, out int first);
            bytes = 0;
            if (count == 0)
                return Errno.None;
            if (space.Space.Mappings[first].Start < start)
                return Errno.NoEntry;
            bool isCut = space.Space.Mappings[first + count - 1].Last > last;
            bytes = space.Space.Remove(first, isCut ? count - 1 : count);
            return isCut ? Errno.NoEntry : Errno.None;
        }
    }

    private static DmaAccess AccessOf(uint flags) =>
        ((flags & Writable) != 0 ? DmaAccess.Write : DmaAccess.None) | ((flags & Readable) != 0 ? DmaAccess.Read : DmaAccess.None);

    /// <summary>Chooses, or checks, where a mapping is to be.</summary>
    private static Errno Place(Ioas space, uint flags, ulong memory, ulong length, ref ulong iova)
    {
        if ((length & (space.Alignment - 1)) != 0)
            return Errno.InvalidArgument;
        Errno error = (flags & FixedIova) == 0 ? space.Allocate(memory, length, out iova) : space.Check(iova, length);
        if (error == Errno.None && (memory & (AddressSpace.PageBytes - 1) & (space.Alignment - 1)) != 0)
            error = Errno.InvalidArgument;
        lock (space.Space.Lock)
            return error == Errno.None && space.Space.Mappings.Count >= AddressSpace.MaxMappings ? Errno.NoMemory : error;
    }

    private static Errno Add(Ioas space, SpaceMapping mapping)
    {
        try
        {
            lock (space.Space.Lock)
                space.Space.Add(mapping);
            return Errno.None;
        }
        catch
        {
            mapping.Memory.Release();
            throw;
        }
    }

    private long Allocate(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_alloc>(), out iommu_ioas_alloc alloc);
        if (error == Errno.None && alloc.flags != 0)
            error = Errno.NotSupported;
        if (error != Errno.None)
            return Answer.Of(error);
        Ioas space = new();
        iommu.Add(space);
        alloc.out_ioas_id = space.Id;
        long result = ServedIommu.Respond(caller, argument, size, alloc);
        if (result != 0)
            iommu.Remove(space);
        return result;
    }

    private Errno Allow(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_allow_iovas>(), out iommu_ioas_allow_iovas allow);
        if (error == Errno.None && allow.__reserved != 0)
            error = Errno.NotSupported;
        if (error != Errno.None)
            return error;
        if (!iommu.TryGet(allow.ioas_id, out Ioas? space))
            return Errno.NoEntry;
        if (allow.num_iovas > MaxAllowedRanges)
            return Errno.NoMemory;
        IovaInterval[] ranges = new IovaInterval[allow.num_iovas];
        for (int i = 0; i < ranges.Length; i++)
        {
            if (!caller.TryRead(allow.allowed_iovas + (ulong)(i * Blittable.SizeOf<iommu_iova_range>()), out iommu_iova_range range))
                return Errno.BadAddress;
            ranges[i] = new IovaInterval(range.start, range.last);
        }

        return space.Allow(ranges);
    }

    private long GetRanges(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_iova_ranges>(), out iommu_ioas_iova_ranges ask);
        if (error == Errno.None && ask.__reserved != 0)
            error = Errno.NotSupported;
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(ask.ioas_id, out Ioas? space))
            return Answer.Of(Errno.NoEntry);
        IReadOnlyList<IovaInterval> ranges = space.GetRanges();
        for (int i = 0; i < ranges.Count && (uint)i < ask.num_iovas; i++)
        {
            iommu_iova_range range = new() { start = ranges[i].Start, last = ranges[i].Last };
            long written = caller.Answer(ask.allowed_iovas + (ulong)(i * Blittable.SizeOf<iommu_iova_range>()), range);
            if (written != 0)
                return written;
        }

        bool isTooSmall = ask.num_iovas < ranges.Count;
        ask.num_iovas = (uint)ranges.Count;
        ask.out_iova_alignment = space.Alignment;
        long result = ServedIommu.Respond(caller, argument, size, ask);
        return result == 0 && isTooSmall ? Answer.Of(Errno.MessageTooLong) : result;
    }

    private long Map(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_map>(), out iommu_ioas_map map);
        if (error == Errno.None && map.__reserved != 0)
            error = Errno.NotSupported;
        if (error == Errno.None)
            error = CheckMap(map.flags, map.iova, map.length);
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(map.ioas_id, out Ioas? space))
            return Answer.Of(Errno.NoEntry);
        error = Map(caller, space, ref map);
        return error != Errno.None ? Answer.Of(error) : ServedIommu.Respond(caller, argument, size, map);
    }

    private static Errno CheckMap(uint flags, ulong iova, ulong length) =>
        (flags & ~MapFlags) != 0 ? Errno.NotSupported
        : iova == ulong.MaxValue || length == ulong.MaxValue ? Errno.Overflow
        : (flags & (Readable | Writable)) == 0 ? Errno.InvalidArgument
        : Errno.None;

    /// <summary>IOMMU_IOAS_MAP_FILE: a file of memory, which stays mapped whatever the process does.</summary>
    private long MapFile(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_map_file>(), out iommu_ioas_map_file map);
        if (error == Errno.None)
            error = CheckMap(map.flags, map.iova, map.length);
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(map.ioas_id, out Ioas? space))
            return Answer.Of(Errno.NoEntry);
        if (map.length == 0)
            return Answer.Of(Errno.InvalidArgument);
        if (map.length - 1 > ulong.MaxValue - map.start)
            return Answer.Of(Errno.Overflow);
        using FileDescriptor? file = caller.CopyDescriptor(map.fd);
        if (file is null)
            return Answer.Of(Errno.BadDescriptor);
        error = Place(space, map.flags, map.start, map.length, ref map.iova);
        if (error != Errno.None)
            return Answer.Of(error);
        DmaAccess access = AccessOf(map.flags);
        SharedDmaMemory memory = Share(file, map.start, map.length, (access & DmaAccess.Write) != 0);
        ulong pageOffset = map.start & (AddressSpace.PageBytes - 1);
        error = Add(space, new SpaceMapping(map.iova, map.length, access, memory, pageOffset, (access & DmaAccess.Write) != 0)
        {
            PageOffset = pageOffset,
        });
        return error != Errno.None ? Answer.Of(error) : ServedIommu.Respond(caller, argument, size, map);
    }

    private static SharedDmaMemory Share(FileDescriptor file, ulong start, ulong length, bool isWritable)
    {
        ulong first = start & ~(AddressSpace.PageBytes - 1);
        return new SharedDmaMemory(SharedMemory.Share(file, first, (start - first) + length, isWritable));
    }

    private long Copy(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_copy>(), out iommu_ioas_copy copy);
        if (error == Errno.None)
            error = (copy.flags & ~MapFlags) != 0 ? Errno.NotSupported
                : copy.src_iova == ulong.MaxValue ? Errno.Overflow
                : CheckMap(copy.flags, copy.dst_iova, copy.length);
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(copy.src_ioas_id, out Ioas? source))
            return Answer.Of(Errno.NoEntry);
        error = Collect(source, copy.src_iova, copy.length, out List<SpaceMapping> pieces);
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(copy.dst_ioas_id, out Ioas? target))
            return Answer.Of(Errno.NoEntry);
        error = Place(target, copy.flags, pieces[0].PageOffset, copy.length, ref copy.dst_iova);
        if (error == Errno.None)
            error = AddCopies(target, pieces, copy);
        return error != Errno.None ? Answer.Of(error) : ServedIommu.Respond(caller, argument, size, copy);
    }

    /// <summary>Finds the mappings of a range without a gap.</summary>
    private static Errno Collect(Ioas space, ulong start, ulong length, out List<SpaceMapping> pieces)
    {
        pieces = [];
        if (length == 0)
            return Errno.InvalidArgument;
        if (length - 1 > ulong.MaxValue - start)
            return Errno.Overflow;
        ulong last = start + (length - 1);
        lock (space.Space.Lock)
        {
            ulong next = start;
            int count = space.Space.Find(start, last, out int first);
            for (int i = first; i < first + count; i++)
            {
                SpaceMapping mapping = space.Space.Mappings[i];
                if (mapping.Start > next)
                    return Errno.NoEntry;
                ulong skipped = next - mapping.Start;
                ulong bytes = Math.Min(last, mapping.Last) - next + 1;
                pieces.Add(new SpaceMapping(next, bytes, mapping.Access, mapping.Memory, mapping.MemoryOffset + skipped, mapping.IsMemoryWritable)
                {
                    PageOffset = (mapping.PageOffset + skipped) & (AddressSpace.PageBytes - 1),
                });
                if (mapping.Last >= last)
                    return Errno.None;
                next = mapping.Last + 1;
            }
        }

        return Errno.NoEntry;
    }

    private static Errno AddCopies(Ioas target, List<SpaceMapping> pieces, in iommu_ioas_copy copy)
    {
        DmaAccess access = AccessOf(copy.flags);
        if ((access & DmaAccess.Write) != 0 && !pieces.TrueForAll(piece => piece.IsMemoryWritable))
            return Errno.OperationNotPermitted;
        ulong start = copy.dst_iova;
        try
        {
            foreach (SpaceMapping piece in pieces)
            {
                piece.Memory.AddReference();
                Add(target, new SpaceMapping(start, piece.Length, access, piece.Memory, piece.MemoryOffset, piece.IsMemoryWritable)
                {
                    PageOffset = piece.PageOffset,
                });
                start += piece.Length;
            }
        }
        catch
        {
            if (start > copy.dst_iova)
                Unmap(target, copy.dst_iova, start - 1, out _);
            throw;
        }

        return Errno.None;
    }

    private long Unmap(ICaller caller, ulong argument, uint size)
    {
        Errno error = ServedIommu.Read(caller, argument, size, Blittable.SizeOf<iommu_ioas_unmap>(), out iommu_ioas_unmap unmap);
        if (error != Errno.None)
            return Answer.Of(error);
        if (!iommu.TryGet(unmap.ioas_id, out Ioas? space))
            return Answer.Of(Errno.NoEntry);
        ulong bytes;
        if (unmap is { iova: 0, length: ulong.MaxValue })
        {
            error = Unmap(space, 0, ulong.MaxValue, out bytes);
        }
        else
        {
            if (unmap.iova == ulong.MaxValue || unmap.length == ulong.MaxValue)
                return Answer.Of(Errno.Overflow);
            if (unmap.length == 0)
                return Answer.Of(Errno.InvalidArgument);
            if (unmap.length - 1 > ulong.MaxValue - unmap.iova)
                return Answer.Of(Errno.Overflow);
            error = Unmap(space, unmap.iova, unmap.iova + (unmap.length - 1), out bytes);
            if (error == Errno.None && bytes == 0)
                error = Errno.NoEntry;
        }

        if (error != Errno.None)
            return Answer.Of(error);
        unmap.length = bytes;
        return ServedIommu.Respond(caller, argument, size, unmap);
    }
}
