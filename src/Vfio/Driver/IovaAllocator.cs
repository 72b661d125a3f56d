namespace Vfio;

/// <summary>Allocates addresses to map memory at: the lowest that fit, in whole pages.</summary>
/// <remarks>Devices that share an address space (one container, one IOAS) share one allocator. The page at 0 is never allocated:
/// devices use 0 for no address, as the 82576 does for a buffer. Any thread may use it.</remarks>
public sealed class IovaAllocator
{
    private readonly Lock _lock = new();
    private readonly List<Gap> _gaps = [];

    /// <summary>Makes an allocator with everything free.</summary>
    /// <param name="ranges">The ranges to allocate from, ascending and without overlap; the ends are rounded inwards to pages.</param>
    /// <param name="pageBytes">Granularity in bytes, a power of two; 0 for the page size of this machine.</param>
    public IovaAllocator(IReadOnlyList<IovaRange> ranges, ulong pageBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(ranges);
        PageBytes = pageBytes == 0 ? (ulong)Environment.SystemPageSize : pageBytes;
        if (!ulong.IsPow2(PageBytes))
            throw new ArgumentException($"a page of {PageBytes} bytes is no power of two", nameof(pageBytes));
        foreach (IovaRange range in ranges)
        {
            // The page at the very end of the address space has an end that does not fit 64 bits: it is never allocated.
            ulong end = range.Last.Value == ulong.MaxValue ? ulong.MaxValue : range.Last.Value + 1;
            Gap gap = new(Math.Max(RoundUp(range.Start.Value, PageBytes), PageBytes), end & ~(PageBytes - 1));
            if (_gaps.Count > 0 && gap.Start < _gaps[^1].End)
                throw new ArgumentException($"the range at {range.Start} is not above the one before it", nameof(ranges));
            if (gap.End > gap.Start)
                _gaps.Add(gap);
        }
    }

    /// <summary>Granularity of addresses and sizes, in bytes.</summary>
    public ulong PageBytes { get; }

    /// <summary>Bytes that are free.</summary>
    public ulong FreeBytes
    {
        get
        {
            lock (_lock)
                return _gaps.Aggregate(0UL, (sum, gap) => sum + (gap.End - gap.Start));
        }
    }

    /// <summary>Takes the lowest free range.</summary>
    /// <param name="bytes">Its length, above 0; rounded up to whole pages.</param>
    /// <param name="addressBits">The width of the device's addresses: the range ends below 2 to this power.</param>
    /// <param name="alignmentBytes">The address is a multiple of this power of two; 0 for a page.</param>
    /// <exception cref="VfioException">ENOSPC: no free range fits.</exception>
    public Iova Allocate(ulong bytes, int addressBits = 64, ulong alignmentBytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfZero(bytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(addressBits, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(addressBits, 64);
        ulong alignment = Math.Max(alignmentBytes, PageBytes);
        if (!ulong.IsPow2(alignment))
            throw new ArgumentException($"an alignment of {alignmentBytes} bytes is no power of two", nameof(alignmentBytes));
        ulong length = RoundUp(bytes, PageBytes);
        ulong limit = addressBits == 64 ? ulong.MaxValue : 1UL << addressBits;
        lock (_lock)
        {
            for (int i = 0; i < _gaps.Count && _gaps[i].Start < limit; i++)
            {
                ulong start = RoundUp(_gaps[i].Start, alignment);
                ulong end = Math.Min(_gaps[i].End, limit);
                if (start > end || length > end - start)
                    continue;
                Take(i, start, start + length);
                return new Iova(start);
            }
        }

        throw new VfioException(
            $"allocation of {bytes} bytes of I/O addresses below 2^{addressBits}", "the address space of the device", Errno.NoSpace,
            "dispose buffers that are no longer needed");
    }

    /// <summary>Takes a given range, for memory that must be at a fixed address.</summary>
    /// <returns>False when part of it is taken already or was never free.</returns>
    public bool TryReserve(Iova start, ulong bytes)
    {
        ArgumentOutOfRangeException.ThrowIfZero(bytes);
        ulong from = start.Value & ~(PageBytes - 1);
        ulong to = RoundUp(checked(start.Value + bytes), PageBytes);
        lock (_lock)
        {
            int index = _gaps.FindIndex(gap => gap.Start <= from && to <= gap.End);
            if (index >= 0)
                Take(index, from, to);
            return index >= 0;
        }
    }

    /// <summary>Frees a range.</summary>
    /// <param name="start">Its start, as it was allocated.</param>
    /// <param name="bytes">Its length, as it was requested.</param>
    /// <exception cref="ArgumentException">Part of it is free already.</exception>
    public void Free(Iova start, ulong bytes)
    {
        Gap freed = new(start.Value, checked(start.Value + RoundUp(bytes, PageBytes)));
        lock (_lock)
        {
            int next = _gaps.FindIndex(gap => gap.End > freed.Start);
            next = next < 0 ? _gaps.Count : next;
            if (next < _gaps.Count && _gaps[next].Start < freed.End)
                throw new ArgumentException($"{bytes} bytes at {start} are free already", nameof(start));
            if (next < _gaps.Count && _gaps[next].Start == freed.End)
            {
                freed = freed with { End = _gaps[next].End };
                _gaps.RemoveAt(next);
            }

            if (next > 0 && _gaps[next - 1].End == freed.Start)
                _gaps[next - 1] = _gaps[next - 1] with { End = freed.End };
            else
                _gaps.Insert(next, freed);
        }
    }

    private static ulong RoundUp(ulong value, ulong unit) => checked(value + (unit - 1)) & ~(unit - 1);

    private void Take(int index, ulong start, ulong end)
    {
        Gap gap = _gaps[index];
        _gaps.RemoveAt(index);
        if (end < gap.End)
            _gaps.Insert(index, new Gap(end, gap.End));
        if (gap.Start < start)
            _gaps.Insert(index, new Gap(gap.Start, start));
    }

    /// <summary>A free range; <paramref name="End"/> is the first address that is not in it.</summary>
    private readonly record struct Gap(ulong Start, ulong End);
}
