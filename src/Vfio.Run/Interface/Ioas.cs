using System.Numerics;
using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>An I/O address space of an iommufd: <c>drivers/iommu/iommufd/io_pagetable.c</c>.</summary>
/// <remarks>While it has no page table, any address can be mapped, to the byte. A page table has pages, and ends where the IOMMU's translation
/// ends; a device adds the ranges that it cannot reach.</remarks>
internal sealed class Ioas : IommuObject
{
    private const ulong HugePageBytes = 2 << 20;
    private const int MaxAllowedRanges = 4096;

    /// <summary>The mappings, and the devices that use them.</summary>
    internal AddressSpace Space { get; } = new();

    /// <summary>Its page tables.</summary>
    internal List<PageTable> Tables { get; } = [];

    /// <summary>Whether mappings may become huge pages of a table; IOMMU_OPTION_HUGE_PAGES. There are none, but programs can ask.</summary>
    internal bool HasHugePages { get; set; } = true;

    /// <summary>What addresses are multiples of.</summary>
    internal ulong Alignment => Tables.Count > 0 || !HasHugePages ? AddressSpace.PageBytes : 1;

    /// <summary>Ranges that devices must not take away; IOMMU_IOAS_ALLOW_IOVAS. In ascending order.</summary>
    internal IReadOnlyList<IovaInterval> Allowed { get; private set; } = [];

    /// <inheritdoc/>
    internal override void Destroy() => Space.Clear();

    /// <summary>Where memory can be mapped.</summary>
    internal IReadOnlyList<IovaInterval> GetRanges()
    {
        if (Tables.Count == 0)
            return [new IovaInterval(0, ulong.MaxValue)];
        lock (Space.Lock)
            return AsIntervals(Space.GetRanges());
    }

    /// <summary>The same ranges by first and last address.</summary>
    internal static IReadOnlyList<IovaInterval> AsIntervals(IReadOnlyList<IovaRange> ranges) =>
        [.. ranges.Select(range => new IovaInterval(range.Start.Value, range.Last.Value))];

    /// <summary>Replaces the ranges that devices must not take away.</summary>
    /// <returns>EINVAL: one is empty, or two overlap; EADDRINUSE: part of one cannot be mapped now; ENOMEM: too many.</returns>
    internal Errno Allow(IovaInterval[] ranges)
    {
        if (ranges.Length > MaxAllowedRanges)
            return Errno.NoMemory;
        Array.Sort(ranges, static (left, right) => left.Start.CompareTo(right.Start));
        for (int i = 0; i < ranges.Length; i++)
        {
            if (ranges[i].Start >= ranges[i].Last || (i > 0 && ranges[i].Start <= ranges[i - 1].Last))
                return Errno.InvalidArgument;
        }

        if (!ranges.All(IsInside(GetRanges())))
            return Errno.AddressInUse;
        Allowed = ranges;
        return Errno.None;
    }

    /// <summary>Whether all that is mapped and allowed has the alignment of pages, and is inside ranges.</summary>
    /// <returns>EADDRINUSE where not.</returns>
    internal Errno CheckFits(IReadOnlyList<IovaInterval> ranges)
    {
        Func<IovaInterval, bool> isInside = IsInside(ranges);
        lock (Space.Lock)
        {
            const ulong Mask = AddressSpace.PageBytes - 1;
            foreach (SpaceMapping mapping in Space.Mappings)
            {
                if (((mapping.Start | mapping.Length | mapping.PageOffset) & Mask) != 0 || !isInside(new IovaInterval(mapping.Start, mapping.Last)))
                    return Errno.AddressInUse;
            }
        }

        return Allowed.All(isInside) ? Errno.None : Errno.AddressInUse;
    }

    /// <summary>Checks a range for a mapping.</summary>
    internal Errno Check(ulong start, ulong length)
    {
        if ((start & (Alignment - 1)) != 0)
            return Errno.InvalidArgument;
        if (length - 1 > ulong.MaxValue - start)
            return Errno.Overflow;
        if (!IsInside(GetRanges())(new IovaInterval(start, start + (length - 1))))
            return Errno.InvalidArgument;
        lock (Space.Lock)
            return Space.Find(start, start + (length - 1), out _) > 0 ? Errno.Exists : Errno.None;
    }

    /// <summary>Finds a free range: the lowest that has the alignment of the memory, so that both can be huge pages.</summary>
    /// <param name="memory">The address of the memory, or what stands for it.</param>
    /// <param name="length">How many bytes; not 0.</param>
    /// <param name="start">The first address.</param>
    /// <returns>EOVERFLOW, EINVAL or ENOSPC.</returns>
    internal Errno Allocate(ulong memory, ulong length, out ulong start)
    {
        start = 0;
        if (length >= ulong.MaxValue / 2)
            return Errno.Overflow;
        ulong alignment = BitOperations.RoundUpToPowerOf2(length);
        if (memory != 0)
            alignment = Math.Min(alignment, 1UL << BitOperations.TrailingZeroCount(memory));
        alignment = Math.Min(alignment, HugePageBytes);
        if (alignment < Alignment)
            return Errno.InvalidArgument;
        ulong pageOffset = memory & (AddressSpace.PageBytes - 1);
        IReadOnlyList<IovaInterval> usable = GetRanges();
        if (Allowed.Count > 0)
            usable = Allowed;
        lock (Space.Lock)
        {
            foreach (IovaInterval range in usable)
            {
                // Not the first page, nor the last: an address of 0 stays a mistake.
                ulong first = Math.Max(range.Start, AddressSpace.PageBytes);
                ulong last = Math.Min(range.Last, ulong.MaxValue - AddressSpace.PageBytes);
                if (first <= last && TryFindHole(first, last, length, alignment, pageOffset, out start))
                    return Errno.None;
            }
        }

        return Errno.NoSpace;
    }

    private bool TryFindHole(ulong first, ulong last, ulong length, ulong alignment, ulong pageOffset, out ulong start)
    {
        int count = Space.Find(first, last, out int place);
        for (int end = place + count; place <= end; place++)
        {
            ulong holeLast = place == end ? last : Space.Mappings[place].Start - 1;
            if ((place == end || Space.Mappings[place].Start > first) && Fits(first, holeLast, length, alignment, pageOffset, out start))
                return true;
            if (place == end || Space.Mappings[place].Last >= last)
                break;
            first = Space.Mappings[place].Last + 1;
        }

        start = 0;
        return false;
    }

    private static bool Fits(ulong first, ulong last, ulong length, ulong alignment, ulong pageOffset, out ulong start)
    {
        start = 0;
        if (first > ulong.MaxValue - (alignment - 1))
            return false;
        start = ((first + (alignment - 1)) & ~(alignment - 1)) | pageOffset;
        return start < last && last - start >= length - 1;
    }

    private static Func<IovaInterval, bool> IsInside(IReadOnlyList<IovaInterval> ranges) =>
        inner => ranges.Any(range => inner.Start >= range.Start && inner.Last <= range.Last);
}

/// <summary>Addresses, up to all 64 bits of them.</summary>
/// <param name="Start">First address.</param>
/// <param name="Last">Last address.</param>
internal readonly record struct IovaInterval(ulong Start, ulong Last);
