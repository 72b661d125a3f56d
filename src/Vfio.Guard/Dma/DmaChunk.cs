namespace Vfio.Guard;

/// <summary>Up to <see cref="Capacity"/> mappings in ascending order. The starts stand by themselves: a search touches nothing
/// else.</summary>
internal sealed class DmaChunk
{
    internal const int Capacity = 256;
    private readonly ulong[] _starts = new ulong[Capacity];
    private readonly DmaEntry[] _entries = new DmaEntry[Capacity];

    internal int Count { get; private set; }

    internal ulong First => _starts[0];

    internal bool IsFull => Count == Capacity;

    internal ulong StartOf(int index) => _starts[index];

    internal ref readonly DmaEntry this[int index] => ref _entries[index];

    /// <summary>How many mappings start at or below an address.</summary>
    internal int CountUpTo(ulong address) => CountUpTo(_starts.AsSpan(0, Count), address);

    /// <summary>How many numbers of an ascending span are at most <paramref name="limit"/>.</summary>
    internal static int CountUpTo(ReadOnlySpan<ulong> ascending, ulong limit)
    {
        // Which half it is cannot be predicted, so the steps have no branch in them: half or 0 is added.
        int low = 0;
        int left = ascending.Length;
        while (left > 1)
        {
            int half = left >> 1;
            low += half & -(ascending[low + half - 1] <= limit ? 1 : 0);
            left -= half;
        }

        return left == 1 && ascending[low] <= limit ? low + 1 : low;
    }

    internal void Insert(int index, ulong start, in DmaEntry entry)
    {
        Move(index, index + 1, Count - index);
        _starts[index] = start;
        _entries[index] = entry;
        Count++;
    }

    internal void Remove(int index, int count)
    {
        Move(index + count, index, Count - index - count);
        Array.Clear(_entries, Count - count, count);
        Count -= count;
    }

    /// <summary>Moves the mappings from an index on to another chunk's end.</summary>
    internal void MoveTail(int index, DmaChunk to)
    {
        int count = Count - index;
        Array.Copy(_starts, index, to._starts, to.Count, count);
        Array.Copy(_entries, index, to._entries, to.Count, count);
        to.Count += count;
        Remove(index, count);
    }

    private void Move(int from, int to, int count)
    {
        Array.Copy(_starts, from, _starts, to, count);
        Array.Copy(_entries, from, _entries, to, count);
    }
}
