using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Memory;

namespace Vfio;

/// <summary>Memory that this process and the device share, at an address that the device puts on the bus.</summary>
/// <remarks>
/// <para>Made by <see cref="PciDevice.AllocateDma"/>, zeroed, or of memory that there is, by <see
/// cref="PciDevice.MapMemory(DmaMemory, DmaAccess, Iova?)"/>. Disposing it first takes it away from the device, then frees it
/// unless somebody else uses it.</para>
/// <para>The device can change the bytes at any time, so they are copied out and in, and a value is read exactly once. The accesses
/// with a width in their name are one access, at a multiple of the width: a read comes before every later read of this
/// thread (so a valid bit first, then the descriptor), a write after every earlier write (the descriptor first, then its
/// owner bit). The doorbell after them is <see cref="Bar"/>'s matter.</para>
/// <para>Any thread may use it; nothing is allocated. A range that leaves the buffer is an <see cref="ArgumentOutOfRangeException"/>, and a
/// use after it was disposed an <see cref="ObjectDisposedException"/>.
/// Values are little-endian, as PCI devices have them.</para>
/// </remarks>
public sealed class DmaBuffer : IDisposable
{
    private static readonly SharedMemory NoBytes = SharedMemory.Closed(typeof(DmaBuffer));
    private readonly Action<DmaBuffer> _unmap;
    private SharedMemory _bytes;
    private ulong _offsets;
    private int _disposed;

    /// <param name="memory">One reference is taken over.</param>
    /// <param name="bytes">The memory in this process; mapped.</param>
    /// <param name="start">Where the device has it.</param>
    /// <param name="access">What the device may do with it.</param>
    /// <param name="unmap">Takes it away from the device.</param>
    internal DmaBuffer(DmaMemory memory, SharedMemory bytes, Iova start, DmaAccess access, Action<DmaBuffer> unmap)
    {
        Memory = memory;
        _bytes = bytes;
        _unmap = unmap;
        Start = start;
        Access = access;
        Length = checked((long)_bytes.Length);
        _offsets = (ulong)Length + 1;
    }

    /// <summary>The device's address of the first byte; a multiple of the page size.</summary>
    public Iova Start { get; }

    /// <summary>Size in bytes, whole pages.</summary>
    public long Length { get; }

    /// <summary>What the device may do with it.</summary>
    public DmaAccess Access { get; }

    /// <summary>The memory; shared until this is disposed, unless a reference is taken.</summary>
    public DmaMemory Memory { get; }

    /// <summary>The device's address of a byte.</summary>
    /// <param name="offset">0 to <see cref="Length"/>, included: the end of a range may be asked for.</param>
    public Iova AddressOf(long offset)
    {
        if ((ulong)offset >= _offsets)
            ThrowBadAccess(offset, 0);
        return Start + (ulong)offset;
    }

    /// <summary>Reads 8 bits.</summary>
    public byte Read8(long offset) => _bytes.Read8((ulong)offset);

    /// <summary>Reads 16 bits.</summary>
    public ushort Read16(long offset) => _bytes.Read16((ulong)offset);

    /// <summary>Reads 32 bits.</summary>
    public uint Read32(long offset) => _bytes.Read32((ulong)offset);

    /// <summary>Reads 64 bits.</summary>
    public ulong Read64(long offset) => _bytes.Read64((ulong)offset);

    /// <summary>Writes 8 bits.</summary>
    public void Write8(long offset, byte value) => _bytes.Write8((ulong)offset, value);

    /// <summary>Writes 16 bits.</summary>
    public void Write16(long offset, ushort value) => _bytes.Write16((ulong)offset, value);

    /// <summary>Writes 32 bits.</summary>
    public void Write32(long offset, uint value) => _bytes.Write32((ulong)offset, value);

    /// <summary>Writes 64 bits.</summary>
    public void Write64(long offset, ulong value) => _bytes.Write64((ulong)offset, value);

    /// <summary>Copies bytes out, in no particular order or width.</summary>
    public void Read(long offset, Span<byte> destination)
    {
        if (!_bytes.TryRead((ulong)offset, destination))
            ThrowBadAccess(offset, destination.Length);
    }

    /// <summary>Copies bytes in, in no particular order or width.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        if (!_bytes.TryWrite((ulong)offset, source))
            ThrowBadAccess(offset, source.Length);
    }

    /// <summary>Copies a descriptor out, in no particular order or width.</summary>
    /// <typeparam name="T">A packed struct without references.</typeparam>
    public T Read<T>(long offset)
        where T : unmanaged
    {
        T value = default;
        Read(offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Copies a descriptor in, in no particular order or width.</summary>
    /// <typeparam name="T">A packed struct without references.</typeparam>
    public void Write<T>(long offset, in T value)
        where T : unmanaged
    {
        T copy = value;
        Write(offset, Blittable.AsBytes(ref copy));
    }

    /// <summary>Sets bytes to 0.</summary>
    public void Clear(long offset, long count)
    {
        if ((ulong)offset >= _offsets || (ulong)count > (ulong)(Length - offset))
            ThrowBadAccess(offset, count);
        Span<byte> zeros = stackalloc byte[(int)Math.Min(count, 512)];
        zeros.Clear();
        for (; count > 0; offset += zeros.Length, count -= zeros.Length)
        {
            zeros = zeros[..(int)Math.Min(count, zeros.Length)];
            Write(offset, zeros);
        }
    }

    /// <summary>Takes the memory away from the device, then lets go of it. Nobody else may be using it through this object then.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _bytes = NoBytes;
        _offsets = 0;
        _unmap(this);
        Memory.Release();
    }

    private void ThrowBadAccess(long offset, long count)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        throw new ArgumentOutOfRangeException(
            nameof(offset),
            $"{count} bytes at 0x{offset:x} do not fit the 0x{Length:x} bytes of the DMA buffer at {Start}: {AllowedOffsets.For(count, Length)}");
    }
}
