using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Providers;

namespace Vfio.Kernel;

/// <summary>An I/O address space of the kernel: the memory that the devices in it can reach.</summary>
/// <remarks>
/// <para>By default each device has one of its own, and disposes it. Several devices can share one that is made before: a mapping of one is
/// then a mapping of all, and their drivers share an <see cref="IovaAllocator"/>.</para>
/// <para>Any thread may use it. The pages of a mapping are pinned, and count against RLIMIT_MEMLOCK.</para>
/// </remarks>
public abstract partial class DmaSpace : IDisposable
{
    private readonly Lock _lock = new();
    private readonly DmaMappings _mappings = new();
    private IReadOnlyList<IovaRange> _ranges = IovaRange.Default;

    private protected DmaSpace(string name) => Name = name;

    /// <summary>A name, for messages.</summary>
    public string Name { get; }

    /// <summary>The ranges that may be mapped; narrower with each device that is attached.</summary>
    public IReadOnlyList<IovaRange> Ranges => Volatile.Read(ref _ranges);

    /// <summary>Number of mappings.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _mappings.Count;
        }
    }

    /// <summary>Maps memory for the devices.</summary>
    /// <exception cref="VfioException">EEXIST: part of the range is mapped already; EINVAL: outside of <see cref="Ranges"/>, or not of
    /// whole pages; ENOMEM: the limit on locked memory, or on mappings; EOPNOTSUPP: this process cannot reach the memory.</exception>
    public void Map(in DmaMapping mapping)
    {
        Check(mapping);
        lock (_lock)
        {
            if (_mappings.Overlaps(mapping.Start, mapping.Length))
                throw Refusal(mapping, Errno.Exists, "part of the range is mapped already; unmap it first");
            DmaMapping reachable = MakeReachable(mapping);
            try
            {
                Pin(reachable.Memory.Shared!, reachable);
                _mappings.Add(reachable);
            }
            catch (VfioException refusal) when (refusal.Errno == Errno.NoMemory)
            {
                throw Refusal(mapping, Errno.NoMemory, MemoryLimit.Explain());
            }
            finally
            {
                reachable.Memory.Release();
            }
        }
    }

    /// <summary>Unmaps a range, which must not cut a mapping.</summary>
    /// <returns>Bytes that were mapped in it.</returns>
    /// <exception cref="VfioException">ENOENT: nothing is mapped there; EINVAL: the range would cut a mapping.</exception>
    public ulong Unmap(Iova start, ulong length)
    {
        lock (_lock)
        {
            Errno error = _mappings.Find(start, length, out int first, out int count);
            if (error != Errno.None)
            {
                throw new VfioException($"unmap of {length} bytes at {start}", Name, error,
                    error == Errno.NoEntry ? "nothing is mapped there" : "it would cut a mapping in two");
            }

            ulong bytes = 0;
            for (; count > 0; count--)
            {
                DmaMapping mapping = _mappings.All[first + count - 1];
                Release(mapping);
                _mappings.RemoveAt(first + count - 1);
                bytes += mapping.Length;
            }

            return bytes;
        }
    }

    /// <summary>Unmaps everything.</summary>
    public void UnmapAll()
    {
        lock (_lock)
        {
            if (_mappings.Count == 0)
                return;
            if (IsTracking)
            {
                // One by one, so that the record of dirty pages is kept.
                for (int place = _mappings.Count - 1; place >= 0; place--)
                {
                    Release(_mappings.All[place]);
                    _mappings.RemoveAt(place);
                }

                return;
            }

            UnpinAll();
            _mappings.Clear();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            // The kernel removes the mappings with the address space; the memory must stay until then.
            _written = null;
            Close();
            _mappings.Clear();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Attaches a device.</summary>
    internal void Admit(DeviceFile device) => Admit(device, Attach);

    /// <summary>Attaches a device by the given action.</summary>
    private protected void Admit(DeviceFile device, Action<DeviceFile> attach)
    {
        lock (_lock)
        {
            attach(device);
            Volatile.Write(ref _ranges, ReadRanges());
        }
    }

    private protected abstract void Attach(DeviceFile device);

    private protected abstract IReadOnlyList<IovaRange> ReadRanges();

    /// <summary>Maps memory, which is mapped into this process, in the kernel.</summary>
    private protected abstract void Pin(SharedMemory memory, in DmaMapping mapping);

    private protected abstract void Unpin(ulong start, ulong length);

    private protected abstract void UnpinAll();

    private protected abstract void Close();

    /// <summary>A range as the kernel reports it. A range of all 2^64 addresses loses the last, so that its length fits.</summary>
    private protected static IovaRange Usable(ulong first, ulong last) =>
        IovaRange.Between(first, first == 0 && last == ulong.MaxValue ? last - 1 : last);

    private static VfioException Refusal(in DmaMapping mapping, Errno errno, string hint) =>
        new($"map of {mapping.Length} bytes at {mapping.Start}", "the I/O address space", errno, hint);

    /// <summary>The mapping with memory that is mapped into this process, and a reference on it.</summary>
    private static DmaMapping MakeReachable(in DmaMapping mapping)
    {
        SharedMemory? shared = mapping.Memory.Shared;
        if (shared is null)
            throw Refusal(mapping, Errno.NotSupported, "the kernel needs memory that this process shares by a descriptor");
        if (mapping.MemoryOffset > shared.Length || mapping.Length > shared.Length - mapping.MemoryOffset)
            throw Refusal(mapping, Errno.InvalidArgument, $"the memory has {shared.Length} bytes");
        if (shared.IsMapped)
        {
            mapping.Memory.AddReference();
            return mapping;
        }

        // A file that could be truncated. It can be mapped here, because only the kernel uses the mapping, to pin the pages now.
        SharedMemory pages = SharedMemory.Map(
            shared.File, shared.FileOffset + mapping.MemoryOffset, mapping.Length, (mapping.Access & DmaAccess.Write) != 0);
        return mapping with { Memory = new SharedDmaMemory(pages), MemoryOffset = 0 };
    }

    private void Check(in DmaMapping mapping)
    {
        ulong page = (ulong)Environment.SystemPageSize;
        if (mapping.Length == 0 || ((mapping.Start.Value | mapping.Length | mapping.MemoryOffset) & (page - 1)) != 0)
            throw Refusal(mapping, Errno.InvalidArgument, $"address, size and place in the memory are multiples of {page}");
        ulong start = mapping.Start.Value, length = mapping.Length;
        if (Ranges.Any(range => start >= range.Start.Value && start - range.Start.Value < range.Length
            && length <= range.Length - (start - range.Start.Value)))
        {
            return;
        }

        string ranges = string.Join(", ", Ranges.Select(range => $"{range.Start} to {range.Last}"));
        throw Refusal(mapping, Errno.InvalidArgument, $"the IOMMU translates {ranges}");
    }
}
