using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Driver;

/// <summary>The memory that a device may use: its addresses, and the buffers at them.</summary>
/// <remarks>Any thread may use it.</remarks>
internal sealed class DeviceMemory : IDisposable
{
    private readonly IVfioDevice _device;
    private readonly IovaAllocator _iovas;
    private readonly object _owner;
    private readonly Lock _lock = new();
    private readonly HashSet<DmaBuffer> _buffers = [];
    private volatile bool _disposed;

    /// <summary>Makes it.</summary>
    /// <param name="device">The device; the caller keeps it.</param>
    /// <param name="iovas">Allocates addresses; null for the ranges of the device.</param>
    /// <param name="owner">Who is said to be disposed when this is.</param>
    internal DeviceMemory(IVfioDevice device, IovaAllocator? iovas, object owner)
    {
        _device = device;
        _owner = owner;
        _iovas = iovas ?? new IovaAllocator(device.IovaRanges);
    }

    /// <summary>How wide the device's addresses are, in bits.</summary>
    internal int AddressBits { get; set; } = 64;

    /// <summary>As <see cref="PciDevice.AllocateDma"/>.</summary>
    internal DmaBuffer Allocate(long bytes, DmaAccess access, DmaPages pages)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        ObjectDisposedException.ThrowIf(_disposed, _owner);
        bool isHuge = pages == DmaPages.Huge;
        ulong page = isHuge ? SharedMemory.HugePageBytes : _iovas.PageBytes;
        ulong length = ((ulong)bytes + (page - 1)) & ~(page - 1);
        Iova start = _iovas.Allocate(length, AddressBits, page);
        SharedMemory made;
        try
        {
            made = isHuge ? SharedMemory.CreateHuge("vfio-dma", length) : SharedMemory.Create("vfio-dma", length);
        }
        catch
        {
            _iovas.Free(start, length);
            throw;
        }

        return Map(new SharedDmaMemory(made), made, start, access);
    }

    /// <summary>As <see cref="PciDevice.MapMemory(DmaMemory, DmaAccess, Iova?)"/>.</summary>
    internal DmaBuffer Map(DmaMemory memory, DmaAccess access, Iova? start)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ObjectDisposedException.ThrowIf(_disposed, _owner);
        if (memory.Shared is not { IsMapped: true } bytes)
            throw new ArgumentException("it is not mapped into this process: map a file that cannot shrink, such as one of MemoryFile", nameof(memory));
        ObjectDisposedException.ThrowIf(bytes.Length == 0, memory);
        if (bytes.Length % _iovas.PageBytes != 0)
            throw new ArgumentException($"0x{bytes.Length:x} bytes are not whole pages of 0x{_iovas.PageBytes:x}", nameof(memory));
        if (!bytes.IsWritable && (access & DmaAccess.Write) != 0)
            throw new ArgumentException($"it can only be read: map it with {nameof(DmaAccess)}.{nameof(DmaAccess.Read)}", nameof(access));
        Iova place = start is { } wanted ? Reserve(wanted, bytes.Length) : _iovas.Allocate(bytes.Length, AddressBits);
        memory.AddReference();
        return Map(memory, bytes, place, access);
    }

    /// <summary>As <see cref="PciDevice.MapMemory(FileDescriptor, long, long, DmaAccess, Iova?)"/>.</summary>
    internal DmaBuffer Map(FileDescriptor file, long fileOffset, long length, DmaAccess access, Iova? start)
    {
        ArgumentNullException.ThrowIfNull(file);
        FileIdentity identity = FileIdentity.Of(file);
        long page = (long)_iovas.PageBytes;
        long end = identity.IsRegular ? (long)identity.LengthBytes : long.MaxValue;
        if (fileOffset < 0 || fileOffset % page != 0 || fileOffset >= end)
            throw new ArgumentOutOfRangeException(nameof(fileOffset), fileOffset, $"a multiple of {page} below the file's length, {end}");
        if (length < 1 || length % page != 0 || length > end - fileOffset)
            throw new ArgumentOutOfRangeException(nameof(length), length, $"a multiple of {page} up to {end - fileOffset}, where the file ends");
        SharedDmaMemory memory = new(SharedMemory.Map(file, (ulong)fileOffset, (ulong)length, identity.Writable));
        try
        {
            return Map(memory, access, start);
        }
        finally
        {
            memory.Release();
        }
    }

    /// <summary>Takes all of it away from the device.</summary>
    public void Dispose()
    {
        DmaBuffer[] buffers;
        lock (_lock)
        {
            _disposed = true;
            buffers = [.. _buffers];
        }

        foreach (DmaBuffer buffer in buffers)
            buffer.Dispose();
    }

    /// <summary>Maps memory at addresses that are reserved for it.</summary>
    /// <param name="memory">One reference is taken over, also when this throws.</param>
    /// <param name="bytes">The memory in this process.</param>
    /// <param name="start">Where; free again when this throws.</param>
    /// <param name="access">What the device may do with it.</param>
    private DmaBuffer Map(DmaMemory memory, SharedMemory bytes, Iova start, DmaAccess access)
    {
        // Memory that nobody has any more has no length.
        ulong length = bytes.Length;
        try
        {
            _device.MapDma(new DmaMapping(start, length, access, memory, 0));
        }
        catch
        {
            memory.Release();
            _iovas.Free(start, length);
            throw;
        }

        DmaBuffer buffer = new(memory, bytes, start, access, Unmap);
        lock (_lock)
        {
            if (!_disposed)
            {
                _buffers.Add(buffer);
                return buffer;
            }
        }

        buffer.Dispose();
        throw new ObjectDisposedException(_owner.GetType().FullName);
    }

    private Iova Reserve(Iova start, ulong length)
    {
        // The page at the very end has an end that does not fit 64 bits, and is nobody's.
        ulong last = AddressBits == 64 ? ulong.MaxValue - 1 : (1UL << AddressBits) - 1;
        if (start.Value % _iovas.PageBytes != 0 || start.Value > last || length - 1 > last - start.Value)
        {
            throw new ArgumentOutOfRangeException(
                nameof(start), start, $"a multiple of 0x{_iovas.PageBytes:x}, from which 0x{length:x} bytes go up to 0x{last:x} at most");
        }

        return _iovas.TryReserve(start, length)
            ? start
            : throw new VfioException(
                $"mapping of 0x{length:x} bytes at {start}", _device.Name, Errno.Exists, "part of the range is in use, or the device cannot address it");
    }

    private void Unmap(DmaBuffer buffer)
    {
        lock (_lock)
            _buffers.Remove(buffer);
        try
        {
            _device.UnmapDma(buffer.Start, (ulong)buffer.Length);
            _iovas.Free(buffer.Start, (ulong)buffer.Length);
        }
        catch (VfioException)
        {
            // The device was removed, and its address space with it: the addresses are not allocated again.
        }
    }
}
