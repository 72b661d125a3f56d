using Vfio.Native.Errors;
using Vfio.Native.Memory;

namespace Vfio;

/// <summary>A block of a <see cref="DmaPool"/>, from its allocation until it is freed.</summary>
/// <remarks>
/// <para>A handle of a few bytes: copies of it are the same block. Accesses are those of <see cref="DmaBuffer"/>, with its order. A range that
/// leaves the block is an <see cref="ArgumentOutOfRangeException"/>, a use after it was freed an
/// <see cref="ObjectDisposedException"/>, also when somebody else has the memory by then.</para>
/// <para>Any thread may use it; nothing is allocated.</para>
/// </remarks>
public readonly record struct DmaBlock : IDisposable
{
    private readonly DmaBuffer _memory;
    private readonly long _offset;

    internal DmaBlock(DmaPool pool, DmaBuffer memory, int number, uint use, long offset)
    {
        Pool = pool;
        Number = number;
        Use = use;
        _memory = memory;
        _offset = offset;
    }

    /// <summary>The device's address of its first byte.</summary>
    public Iova Start => _memory.Start + (ulong)_offset;

    /// <summary>Size in bytes.</summary>
    public int Length => Pool.BlockBytes;

    internal DmaPool Pool { get; }

    internal int Number { get; }

    /// <summary>Which of the block's allocations this is.</summary>
    internal uint Use { get; }

    /// <summary>The buffer that it is in.</summary>
    internal DmaBuffer Memory => _memory;

    /// <summary>Reads 8 bits.</summary>
    public byte Read8(int offset) => _memory.Read8(Locate(offset, 1));

    /// <summary>Reads 16 bits at a multiple of 2.</summary>
    public ushort Read16(int offset) => _memory.Read16(Locate(offset, 2));

    /// <summary>Reads 32 bits at a multiple of 4.</summary>
    public uint Read32(int offset) => _memory.Read32(Locate(offset, 4));

    /// <summary>Reads 64 bits at a multiple of 8.</summary>
    public ulong Read64(int offset) => _memory.Read64(Locate(offset, 8));

    /// <summary>Writes 8 bits.</summary>
    public void Write8(int offset, byte value) => _memory.Write8(Locate(offset, 1), value);

    /// <summary>Writes 16 bits at a multiple of 2.</summary>
    public void Write16(int offset, ushort value) => _memory.Write16(Locate(offset, 2), value);

    /// <summary>Writes 32 bits at a multiple of 4.</summary>
    public void Write32(int offset, uint value) => _memory.Write32(Locate(offset, 4), value);

    /// <summary>Writes 64 bits at a multiple of 8.</summary>
    public void Write64(int offset, ulong value) => _memory.Write64(Locate(offset, 8), value);

    /// <summary>Copies bytes out, in no particular order or width.</summary>
    public void Read(int offset, Span<byte> destination) => _memory.Read(Locate(offset, destination.Length), destination);

    /// <summary>Copies bytes in, in no particular order or width.</summary>
    public void Write(int offset, ReadOnlySpan<byte> source) => _memory.Write(Locate(offset, source.Length), source);

    /// <summary>Copies a descriptor out, in no particular order or width.</summary>
    /// <typeparam name="T">A packed struct without references.</typeparam>
    public T Read<T>(int offset)
        where T : unmanaged => _memory.Read<T>(Locate(offset, Blittable.SizeOf<T>()));

    /// <summary>Copies a descriptor in, in no particular order or width.</summary>
    /// <typeparam name="T">A packed struct without references.</typeparam>
    public void Write<T>(int offset, in T value)
        where T : unmanaged => _memory.Write(Locate(offset, Blittable.SizeOf<T>()), value);

    /// <summary>Sets all of it to 0.</summary>
    public void Clear() => _memory.Clear(Locate(0, Length), Length);

    /// <summary>Frees it, unless that was done before.</summary>
    public void Dispose() => Pool?.TryFree(this);

    /// <summary>The address and the size.</summary>
    public override string ToString() => $"{Length} bytes at {Start}";

    /// <summary>Where a part is in the buffer.</summary>
    internal long Locate(int offset, int count)
    {
        if (offset < 0 || offset > Length - count || !Pool.IsAllocated(this))
            ThrowBadAccess(offset, count);
        return _offset + offset;
    }

    private void ThrowBadAccess(int offset, int count)
    {
        ObjectDisposedException.ThrowIf(!Pool.IsAllocated(this), typeof(DmaBlock));
        throw new ArgumentOutOfRangeException(
            nameof(offset), $"{count} bytes at 0x{offset:x} do not fit the 0x{Length:x} bytes of the block at {Start}: {AllowedOffsets.For(count, Length)}");
    }
}
