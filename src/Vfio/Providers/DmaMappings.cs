using Vfio.Native;

namespace Vfio.Providers;

/// <summary>What the user of a device has mapped, by address: for a producer that passes mappings on, to a server or to the
/// kernel.</summary>
/// <remarks>Holds a reference on the memory of each mapping. Used by one thread at a time, except for <see cref="Read"/> and
/// <see cref="Write"/>, which any thread may call: no access uses a mapping once it is removed.</remarks>
internal sealed class DmaMappings
{
    private readonly List<DmaMapping> _sorted = [];

    // Held to change the list, and to read it without the owner's lock.
    private readonly Lock _lock = new();

    /// <summary>How many.</summary>
    public int Count => _sorted.Count;

    /// <summary>How many of them have memory that this process does not share.</summary>
    public int ByMessage { get; private set; }

    /// <summary>All of them, by address.</summary>
    public IReadOnlyList<DmaMapping> All => _sorted;

    /// <summary>Whether any address of the range is mapped. The range does not wrap and is not empty.</summary>
    public bool Overlaps(Iova start, ulong length)
    {
        int next = FirstFrom(start.Value);
        return (next < _sorted.Count && _sorted[next].Start.Value - start.Value < length)
            || (next > 0 && start.Value - _sorted[next - 1].Start.Value < _sorted[next - 1].Length);
    }

    /// <summary>Adds one that overlaps with none.</summary>
    public void Add(in DmaMapping mapping)
    {
        mapping.Memory.AddReference();
        lock (_lock)
            _sorted.Insert(FirstFrom(mapping.Start.Value), mapping);
        if (mapping.Memory.Shared is null)
            ByMessage++;
    }

    /// <summary>Finds the mappings in a range.</summary>
    /// <param name="start">The first address.</param>
    /// <param name="length">Bytes; the range does not wrap.</param>
    /// <param name="first">Index of the first one in <see cref="All"/>.</param>
    /// <param name="count">How many.</param>
    /// <returns>ENOENT: none; EINVAL: one would be cut.</returns>
    public Errno Find(Iova start, ulong length, out int first, out int count)
    {
        first = FirstFrom(start.Value);
        count = 0;
        if (first > 0 && start.Value - _sorted[first - 1].Start.Value < _sorted[first - 1].Length)
            return Errno.InvalidArgument;
        for (; first + count < _sorted.Count; count++)
        {
            DmaMapping mapping = _sorted[first + count];
            ulong offset = mapping.Start.Value - start.Value;
            if (offset >= length)
                break;
            if (mapping.Length > length - offset)
                return Errno.InvalidArgument;
        }

        return count == 0 ? Errno.NoEntry : Errno.None;
    }

    /// <summary>Removes one.</summary>
    public void RemoveAt(int place)
    {
        DmaMapping mapping = _sorted[place];
        lock (_lock)
            _sorted.RemoveAt(place);
        if (mapping.Memory.Shared is null)
            ByMessage--;
        mapping.Memory.Release();
    }

    /// <summary>Removes all.</summary>
    public void Clear()
    {
        DmaMapping[] removed;
        lock (_lock)
        {
            removed = [.. _sorted];
            _sorted.Clear();
        }

        foreach (DmaMapping mapping in removed)
            mapping.Memory.Release();
        ByMessage = 0;
    }

    /// <summary>Copies mapped memory out; adjacent mappings count as one.</summary>
    public Errno Read(ulong address, Span<byte> destination)
    {
        lock (_lock)
        {
            while (destination.Length > 0)
            {
                Errno error = Locate(address, destination.Length, DmaAccess.Read, out DmaMapping mapping, out int count);
                if (error == Errno.None)
                    error = mapping.Memory.Read(mapping.MemoryOffset + (address - mapping.Start.Value), destination[..count]);
                if (error != Errno.None)
                    return error;
                destination = destination[count..];
                address += (ulong)count;
            }

            return Errno.None;
        }
    }

    /// <summary>Copies into mapped memory; adjacent mappings count as one.</summary>
    public Errno Write(ulong address, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            while (source.Length > 0)
            {
                Errno error = Locate(address, source.Length, DmaAccess.Write, out DmaMapping mapping, out int count);
                if (error == Errno.None)
                    error = mapping.Memory.Write(mapping.MemoryOffset + (address - mapping.Start.Value), source[..count]);
                if (error != Errno.None)
                    return error;
                source = source[count..];
                address += (ulong)count;
            }

            return Errno.None;
        }
    }

    private Errno Locate(ulong address, int wanted, DmaAccess access, out DmaMapping mapping, out int count)
    {
        mapping = default;
        count = 0;
        int next = FirstFrom(address);
        int place = next < _sorted.Count && _sorted[next].Start.Value == address ? next : next - 1;
        if (place < 0 || address - _sorted[place].Start.Value >= _sorted[place].Length)
            return Errno.BadAddress;
        mapping = _sorted[place];
        count = (int)Math.Min((ulong)wanted, mapping.Length - (address - mapping.Start.Value));
        return (mapping.Access & access) != 0 ? Errno.None : Errno.AccessDenied;
    }

    /// <summary>Index of the first mapping that starts at an address or above it.</summary>
    private int FirstFrom(ulong address)
    {
        int low = 0;
        int high = _sorted.Count;
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            if (_sorted[middle].Start.Value < address)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
