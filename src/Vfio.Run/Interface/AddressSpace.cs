using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>An I/O address space: mappings, and the devices that use all of them.</summary>
/// <remarks>Holds one reference of the memory of each mapping; each device takes its own. The rules of requests are those of the files: here
/// is only what they share. Any thread may use it. Its lock is held while devices are told, so that each has the same mappings.</remarks>
internal sealed class AddressSpace
{
    /// <summary>The smallest page of the IOMMU, in bytes.</summary>
    internal const ulong PageBytes = 4096;

    /// <summary>A bit for each page size: 4 KiB, 2 MiB, 1 GiB, as of Intel's and AMD's IOMMUs.</summary>
    internal const ulong PageSizes = 0x4020_1000;

    /// <summary>The most mappings; <c>dma_entry_limit</c> of the kernel.</summary>
    internal const int MaxMappings = 65_535;

    /// <summary>What the IOMMU translates: 48 bits, without the range in which x86 has its interrupts.</summary>
    internal static readonly IReadOnlyList<IovaRange> TranslatedRanges =
    [
        IovaRange.Between(0, 0xfedf_ffff),
        IovaRange.Between(0xfef0_0000, 0xffff_ffff_ffff),
    ];

    // By their start. A reference each, so that an insertion into tens of thousands moves half a megabyte at most.
    private readonly List<SpaceMapping> _sorted = [];
    private readonly List<OpenDevice> _devices = [];

    /// <summary>Held for what takes more than one call.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>The mappings, by address; under the lock.</summary>
    internal IReadOnlyList<SpaceMapping> Mappings => _sorted;

    /// <summary>The mappings that have an address in a range. Under the lock.</summary>
    /// <param name="start">First address.</param>
    /// <param name="last">Last address.</param>
    /// <param name="first">Index of the first one.</param>
    /// <returns>How many.</returns>
    internal int Find(ulong start, ulong last, out int first)
    {
        first = FirstFrom(start, isInclusive: true);
        if (first > 0 && _sorted[first - 1].Last >= start)
            first--;
        return FirstFrom(last, isInclusive: false) - first;
    }

    /// <summary>Adds a mapping, for all devices or for none. Under the lock.</summary>
    /// <param name="mapping">Overlaps with none.</param>
    /// <exception cref="VfioException">A device refused it. The memory is the caller's to release.</exception>
    internal void Add(SpaceMapping mapping)
    {
        for (int told = 0; told < _devices.Count; told++)
        {
            try
            {
                _devices[told].Device.MapDma(mapping.Mapping);
            }
            catch (Exception refusal) when (Answer.IsRefusal(refusal))
            {
                while (told-- > 0)
                    Unmap(_devices[told], mapping);
                throw;
            }
        }

        _sorted.Insert(FirstFrom(mapping.Start, isInclusive: true), mapping);
    }

    /// <summary>Removes mappings. Under the lock.</summary>
    /// <param name="first">Index of the first one.</param>
    /// <param name="count">How many.</param>
    /// <returns>How many bytes they had.</returns>
    internal ulong Remove(int first, int count)
    {
        ulong bytes = 0;
        for (int i = first; i < first + count; i++)
        {
            SpaceMapping mapping = _sorted[i];
            foreach (OpenDevice device in _devices)
                Unmap(device, mapping);
            mapping.Memory.Release();
            bytes += mapping.Length;
        }

        _sorted.RemoveRange(first, count);
        return bytes;
    }

    /// <summary>Puts a mapping in the place of one of the same range. Under the lock.</summary>
    /// <param name="place">Index of the one that goes.</param>
    /// <param name="mapping">The one that comes.</param>
    /// <exception cref="VfioException">A device refused it. The memory is the caller's to release, and the former mapping stays.</exception>
    internal void Replace(int place, SpaceMapping mapping)
    {
        SpaceMapping former = _sorted[place];
        for (int told = 0; told < _devices.Count; told++)
        {
            try
            {
                Unmap(_devices[told], former);
                _devices[told].Device.MapDma(mapping.Mapping);
            }
            catch (Exception refusal) when (Answer.IsRefusal(refusal))
            {
                TryMap(_devices[told], former);
                while (told-- > 0)
                {
                    Unmap(_devices[told], mapping);
                    TryMap(_devices[told], former);
                }

                throw;
            }
        }

        _sorted[place] = mapping;
        former.Memory.Release();
    }

    /// <summary>Gives a device all mappings, and those that come; or none, when it refuses one.</summary>
    /// <exception cref="VfioException">It refused.</exception>
    internal void Attach(OpenDevice device)
    {
        lock (Lock)
        {
            int told = 0;
            try
            {
                for (; told < _sorted.Count; told++)
                    device.Device.MapDma(_sorted[told].Mapping);
            }
            catch (Exception refusal) when (Answer.IsRefusal(refusal))
            {
                while (told-- > 0)
                    Unmap(device, _sorted[told]);
                throw;
            }

            _devices.Add(device);
        }
    }

    /// <summary>Takes all mappings from a device.</summary>
    internal void Detach(OpenDevice device)
    {
        lock (Lock)
        {
            if (!_devices.Remove(device))
                return;
            try
            {
                device.Device.UnmapAllDma();
            }
            catch (Exception refusal) when (Answer.IsRefusal(refusal))
            {
                // It is gone, and its mappings with it.
            }
        }
    }

    /// <summary>Closes a device. Nothing is mapped or unmapped meanwhile: it would find a device that is neither there nor gone.</summary>
    internal void Close(OpenDevice device)
    {
        lock (Lock)
        {
            _devices.Remove(device);
            device.Device.Dispose();
        }
    }

    /// <summary>Where memory may be mapped: where the IOMMU translates, and each device can reach. Under the lock.</summary>
    internal IReadOnlyList<IovaRange> GetRanges()
    {
        IReadOnlyList<IovaRange> ranges = TranslatedRanges;
        foreach (OpenDevice device in _devices)
            ranges = GetReach(ranges, device.Device);
        return ranges;
    }

    /// <summary>What of some ranges a device reaches too.</summary>
    internal static IReadOnlyList<IovaRange> GetReach(IReadOnlyList<IovaRange> ranges, IVfioDevice device)
    {
        // The default says that the device reports none.
        IReadOnlyList<IovaRange> own = device.IovaRanges;
        return ReferenceEquals(own, IovaRange.Default) ? ranges : Intersect(ranges, own);
    }

    /// <summary>Records the mappings that nobody has removed, before the file that has them is closed.</summary>
    internal void FindLeaks(RunRecord record, string file)
    {
        lock (Lock)
        {
            if (_sorted.Count == 0)
                return;
            ulong bytes = _sorted.Aggregate(0UL, (sum, mapping) => unchecked(sum + mapping.Length));
            string count = _sorted.Count == 1 ? "1 mapping" : $"{_sorted.Count} mappings";
            record.AddLeak(file, $"{count} of 0x{bytes:x} bytes, the first at 0x{_sorted[0].Start:x}, left when it was closed");
        }
    }

    /// <summary>Removes all mappings.</summary>
    internal void Clear()
    {
        lock (Lock)
            Remove(0, _sorted.Count);
    }

    private static void Unmap(OpenDevice device, SpaceMapping mapping)
    {
        try
        {
            device.Device.UnmapDma(new Iova(mapping.Start), mapping.Length);
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            // It is gone, and the mapping with it: the kernel's IOMMU needs no device to unmap either.
        }
    }

    private static void TryMap(OpenDevice device, SpaceMapping mapping)
    {
        try
        {
            device.Device.MapDma(mapping.Mapping);
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            // It had this mapping a moment ago: it is gone.
        }
    }

    private static List<IovaRange> Intersect(IReadOnlyList<IovaRange> left, IReadOnlyList<IovaRange> right)
    {
        List<IovaRange> both = [];
        for (int i = 0, j = 0; i < left.Count && j < right.Count;)
        {
            ulong first = Math.Max(left[i].Start.Value, right[j].Start.Value);
            ulong last = Math.Min(left[i].Last.Value, right[j].Last.Value);
            if (first <= last)
                both.Add(IovaRange.Between(first, last));
            if (left[i].Last < right[j].Last)
                i++;
            else
                j++;
        }

        return both;
    }

    /// <summary>Index of the first mapping that starts at an address or above it; or only above it.</summary>
    private int FirstFrom(ulong address, bool isInclusive)
    {
        int low = 0;
        int high = _sorted.Count;
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            if (_sorted[middle].Start < address || (!isInclusive && _sorted[middle].Start == address))
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
