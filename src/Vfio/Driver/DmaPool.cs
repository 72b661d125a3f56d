using System.Numerics;

namespace Vfio;

/// <summary>Small blocks of DMA memory, of one size, out of one mapping: for descriptors, commands, lists and short buffers.</summary>
/// <remarks>
/// <para>The counterpart of Linux's <c>dma_pool</c>, of a fixed count. All blocks are zeroed at first; what was in a block stays in it
/// until it is allocated again. A block of up to 4 KiB never crosses a boundary of 4 KiB, as devices ask of their descriptors.</para>
/// <para>Any thread may use it; to allocate and to free a block allocates nothing and needs no system call.</para>
/// </remarks>
public sealed class DmaPool : IDisposable
{
    private const int PageBytes = 4096, MinAlignment = 8;
    private readonly DmaBuffer _memory;
    private readonly Lock _lock = new();
    private readonly int[] _free;

    // How often each block was allocated or freed: odd while it is allocated.
    private readonly uint[] _uses;
    private readonly int _stride;
    private readonly int _blocksPerPage;
    private int _freeCount;
    private bool _disposed;

    /// <summary>Makes a pool with all blocks free.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="blockBytes">Size of a block in bytes, from 1 to 1 GiB.</param>
    /// <param name="count">How many blocks, from 1.</param>
    /// <param name="alignmentBytes">What a block's address is a multiple of: a power of two up to 4096; at least 8 is used. 0 for the next power
    /// of two from <paramref name="blockBytes"/> on.</param>
    /// <param name="access">What the device may do with the blocks.</param>
    /// <param name="pages">What pages they are made of.</param>
    /// <exception cref="VfioException">As for <see cref="PciDevice.AllocateDma"/>.</exception>
    public DmaPool(
        PciDevice device,
        int blockBytes,
        int count,
        int alignmentBytes = 0,
        DmaAccess access = DmaAccess.ReadWrite,
        DmaPages pages = DmaPages.Normal)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(blockBytes, 1 << 30);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        if (alignmentBytes != 0 && (!BitOperations.IsPow2(alignmentBytes) || alignmentBytes > PageBytes))
            throw new ArgumentOutOfRangeException(nameof(alignmentBytes), alignmentBytes, $"a power of two from 1 to {PageBytes}, or 0");
        BlockBytes = blockBytes;
        Alignment = alignmentBytes == 0
            ? (int)Math.Clamp(BitOperations.RoundUpToPowerOf2((uint)blockBytes), MinAlignment, PageBytes)
            : Math.Max(alignmentBytes, MinAlignment);
        _stride = (blockBytes + (Alignment - 1)) & -Alignment;
        _blocksPerPage = PageBytes / _stride;
        _free = new int[count];
        for (int i = 0; i < count; i++)
            _free[i] = count - 1 - i;
        _freeCount = count;
        _uses = new uint[count];
        _memory = device.AllocateDma(OffsetOf(count - 1) + _stride, access, pages);
    }

    /// <summary>Size of a block in bytes.</summary>
    public int BlockBytes { get; }

    /// <summary>What a block's address is a multiple of, in bytes.</summary>
    public int Alignment { get; }

    /// <summary>How many blocks there are.</summary>
    public int Count => _free.Length;

    /// <summary>How many are free; the next moment it may be otherwise.</summary>
    public int FreeCount => Volatile.Read(ref _freeCount);

    /// <summary>Takes a free block.</summary>
    /// <returns>The caller's until it is freed: nobody else gets it.</returns>
    /// <exception cref="VfioException">ENOSPC: all blocks are in use.</exception>
    public DmaBlock Allocate() => TryAllocate(out DmaBlock block) ? block : throw new VfioException(
        $"allocation of a block of {BlockBytes} bytes", "a DMA pool", Errno.NoSpace, $"all {Count} are in use; free some, or make the pool larger");

    /// <summary>Takes a free block, if there is one.</summary>
    /// <param name="block">The caller's until it is freed: nobody else gets it.</param>
    /// <returns>False when all are in use.</returns>
    public bool TryAllocate(out DmaBlock block)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            block = default;
            if (_freeCount == 0)
                return false;
            int number = _free[--_freeCount];
            block = new DmaBlock(this, _memory, number, ++_uses[number], OffsetOf(number));
            return true;
        }
    }

    /// <summary>Frees a block; the device does not use it any more.</summary>
    /// <exception cref="ArgumentException">It is not of this pool, or was freed before.</exception>
    public void Free(DmaBlock block)
    {
        if (block.Pool != this)
            throw new ArgumentException("the block is of another pool", nameof(block));
        if (!TryFree(block))
            throw new ArgumentException($"the block at {block.Start} was freed before", nameof(block));
    }

    /// <summary>Takes all memory away from the device, allocated blocks too, and frees it.</summary>
    public void Dispose()
    {
        lock (_lock)
            _disposed = true;
        _memory.Dispose();
    }

    internal bool TryFree(in DmaBlock block)
    {
        lock (_lock)
        {
            if (!IsAllocated(block))
                return false;
            _uses[block.Number]++;
            _free[_freeCount++] = block.Number;
            return true;
        }
    }

    internal bool IsAllocated(in DmaBlock block) => Volatile.Read(ref _uses[block.Number]) == block.Use;

    private long OffsetOf(int number) => _blocksPerPage > 0
        ? ((long)(number / _blocksPerPage) * PageBytes) + (number % _blocksPerPage * _stride)
        : (long)number * _stride;
}
