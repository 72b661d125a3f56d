using System.Runtime.CompilerServices;

namespace Vfio.Guard.Dma;

/// <summary>Up to <see cref="Capacity"/> mappings in ascending order. The start addresses are in an array of their own, and every
/// <see cref="Ascending.BlockLength"/>th of them in a second one: a search compares one block of each.</summary>
internal sealed class DmaChunk
{
    internal const int Capacity = BlockLength * BlockLength;
    private const int BlockLength = Ascending.BlockLength;

    private readonly ulong[] _marks = new ulong[BlockLength];
    private readonly ulong[] _starts = new ulong[Capacity];
    private readonly DmaEntry[] _entries = new DmaEntry[Capacity];

    internal DmaChunk()
    {
        _marks.AsSpan().Fill(ulong.MaxValue);
        _starts.AsSpan().Fill(ulong.MaxValue);
    }

    internal int Count { get; private set; }

    internal ulong First => _starts[0];

    internal bool IsFull => Count == Capacity;

    internal ulong StartOf(int index) => _starts[index];

    internal ref readonly DmaEntry this[int index] => ref _entries[index];

    /// <summary>How many mappings start at or below an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int CountUpTo(ulong address)
    {
        int block = Ascending.CountInBlock(_marks, address) - 1;
        if (block < 0)
            return 0;
        int before = block * BlockLength;
        return Math.Min(Count, before + Ascending.CountInBlock(_starts.AsSpan(before, BlockLength), address));
    }

    internal void Insert(int index, ulong start, in DmaEntry entry)
    {
        Move(index, index + 1, Count - index);
        _starts[index] = start;
        _entries[index] = entry;
        Count++;
        Mark(index);
    }

    internal void Remove(int index, int count)
    {
        Move(index + count, index, Count - index - count);
        Array.Clear(_entries, Count - count, count);
        _starts.AsSpan(Count - count, count).Fill(ulong.MaxValue);
        Count -= count;
        Mark(index);
    }

    /// <summary>Moves the mappings from an index on to another chunk's end.</summary>
    internal void MoveTail(int index, DmaChunk to)
    {
        int count = Count - index;
        int before = to.Count;
        Array.Copy(_starts, index, to._starts, before, count);
        Array.Copy(_entries, index, to._entries, before, count);
        to.Count += count;
        to.Mark(before);
        Remove(index, count);
    }

    private void Move(int from, int to, int count)
    {
        Array.Copy(_starts, from, _starts, to, count);
        Array.Copy(_entries, from, _entries, to, count);
    }

    /// <summary>Updates the marks from that of a mapping on.</summary>
    private void Mark(int index)
    {
        for (int block = index / BlockLength; block < BlockLength; block++)
            _marks[block] = _starts[block * BlockLength];
    }
}
