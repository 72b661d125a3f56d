using System.Runtime.CompilerServices;

namespace Vfio.Guard.Dma;

/// <summary>All mappings in ascending order: chunks, and the first address of each. Not thread-safe.</summary>
/// <remarks>A look-up is a binary search for the chunk, 8 steps for 65,000 mappings, and two comparisons of 16 in it. A mapping takes 33
/// bytes in a full chunk. Where mappings are added and removed at random, chunks are at least a quarter full.</remarks>
internal sealed class DmaChunks
{
    private const int Sparse = DmaChunk.Capacity / 4;
    private DmaChunk[] _chunks = new DmaChunk[Ascending.BlockLength];
    private ulong[] _firsts = NewFirsts(Ascending.BlockLength);
    private readonly DmaEntry _none;
    private int _chunkCount;

    /// <summary>How many mappings there are.</summary>
    internal int Count { get; private set; }

    /// <summary>The last mapping that starts at or below an address.</summary>
    internal bool TryFindUpTo(ulong address, out DmaPosition position)
    {
        int chunk = CountUpTo(address) - 1;
        position = chunk < 0 ? default : new DmaPosition(chunk, _chunks[chunk].CountUpTo(address) - 1);
        return chunk >= 0;
    }

    /// <summary>Finds the mapping that holds an address.</summary>
    /// <param name="address">The address.</param>
    /// <param name="position">The position of the mapping, for <see cref="Get"/>.</param>
    /// <param name="into">The offset of the address in the mapping, in bytes.</param>
    /// <returns>The mapping, or one that is no longer than <paramref name="into"/> when none holds the address.</returns>
    internal ref readonly DmaEntry Find(ulong address, out DmaPosition position, out ulong into)
    {
        into = 0;
        position = default;
        int chunk = CountUpTo(address) - 1;
        if (chunk < 0)
            return ref _none;
        DmaChunk holder = _chunks[chunk];
        int index = holder.CountUpTo(address) - 1;
        position = new DmaPosition(chunk, index);
        into = address - holder.StartOf(index);
        return ref holder[index];
    }

    /// <summary>Gets the mapping at a position, which may be stale.</summary>
    /// <param name="position">The position.</param>
    /// <param name="address">An address.</param>
    /// <param name="into">The offset of the address in the mapping, in bytes: below its length when the mapping holds it.</param>
    /// <returns>The mapping, or one without length when none is there.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ref readonly DmaEntry Get(DmaPosition position, ulong address, out ulong into)
    {
        into = 0;
        if (position.Chunk >= _chunkCount)
            return ref _none;
        DmaChunk chunk = _chunks[position.Chunk];
        if (position.Index >= chunk.Count)
            return ref _none;
        into = address - chunk.StartOf(position.Index);
        return ref chunk[position.Index];
    }

    internal ulong StartOf(DmaPosition position) => _chunks[position.Chunk].StartOf(position.Index);

    internal ref readonly DmaEntry EntryAt(DmaPosition position) => ref _chunks[position.Chunk][position.Index];

    /// <summary>Whether any mapping has an address of a range.</summary>
    internal bool Overlaps(ulong start, ulong last) =>
        TryFindUpTo(last, out DmaPosition below) && (StartOf(below) >= start || start - StartOf(below) < EntryAt(below).Length);

    /// <summary>Adds a mapping that overlaps none.</summary>
    internal void Add(ulong start, in DmaEntry entry)
    {
        if (_chunkCount == 0)
            InsertChunk(0, new DmaChunk());
        int chunk = Math.Max(0, CountUpTo(start) - 1);
        int index = _chunks[chunk].CountUpTo(start);
        if (_chunks[chunk].IsFull)
            MakeRoom(ref chunk, ref index);
        _chunks[chunk].Insert(index, start, entry);
        _firsts[chunk] = _chunks[chunk].First;
        Count++;
    }

    /// <summary>Removes the mappings that start in a range.</summary>
    /// <param name="start">First address.</param>
    /// <param name="last">Last address.</param>
    /// <param name="others">Receives the memory of all but the first that is found; allocated when there is any.</param>
    /// <param name="bytes">The sum of their lengths.</param>
    /// <returns>The memory of the first that is found; null when there is none.</returns>
    internal DmaMemory? Remove(ulong start, ulong last, ref List<DmaMemory>? others, out ulong bytes)
    {
        DmaMemory? first = null;
        bytes = 0;
        int chunk = Math.Max(0, CountUpTo(start) - 1);
        while (chunk < _chunkCount && _chunks[chunk].First <= last)
        {
            DmaChunk holder = _chunks[chunk];
            int from = start == 0 ? 0 : holder.CountUpTo(start - 1);
            int count = holder.CountUpTo(last) - from;
            for (int i = from; i < from + count; i++)
            {
                bytes += holder[i].Length;
                if (first is null)
                    first = holder[i].Memory;
                else
                    (others ??= []).Add(holder[i].Memory);
            }

            holder.Remove(from, count);
            Count -= count;
            if (holder.Count == 0)
                RemoveChunk(chunk);
            else
                _firsts[chunk++] = holder.First;
        }

        MergeAround(Math.Min(chunk, _chunkCount) - 1);
        return first;
    }

    /// <summary>Adds every mapping to a list, in ascending order.</summary>
    internal void CollectTo(List<DmaMapping> mappings)
    {
        for (int chunk = 0; chunk < _chunkCount; chunk++)
        {
            for (int i = 0; i < _chunks[chunk].Count; i++)
            {
                ref readonly DmaEntry entry = ref _chunks[chunk][i];
                Iova start = new(_chunks[chunk].StartOf(i));
                mappings.Add(new DmaMapping(start, entry.Length, entry.Access, entry.Memory, entry.MemoryOffset));
            }
        }
    }

    /// <summary>Releases the memory of every mapping. The table is not used after that.</summary>
    internal void ReleaseAll()
    {
        for (int chunk = 0; chunk < _chunkCount; chunk++)
        {
            for (int i = 0; i < _chunks[chunk].Count; i++)
                _chunks[chunk][i].Memory.Release();
        }
    }

    /// <summary>Makes a place for a mapping whose chunk is full: splits the chunk, or moves on to the next.</summary>
    /// <remarks>A user that maps in ascending or descending order, perhaps below or above a few others, leaves full chunks behind: near its
    /// ends a chunk is split where the mapping goes.</remarks>
    private void MakeRoom(ref int chunk, ref int index)
    {
        if (index < DmaChunk.Capacity)
        {
            int kept = index is >= Sparse and < DmaChunk.Capacity - Sparse ? DmaChunk.Capacity / 2 : index;
            DmaChunk next = new();
            _chunks[chunk].MoveTail(kept, next);
            InsertChunk(chunk + 1, next);
            if (index <= kept)
                return;
            chunk++;
            index -= kept;
            return;
        }

        chunk++;
        index = 0;
        if (chunk == _chunkCount || _chunks[chunk].IsFull)
            InsertChunk(chunk, new DmaChunk());
    }

    private void InsertChunk(int at, DmaChunk chunk)
    {
        if (_chunkCount == _chunks.Length)
        {
            Array.Resize(ref _chunks, 2 * _chunkCount);
            ulong[] firsts = NewFirsts(2 * _chunkCount);
            _firsts.CopyTo(firsts, 0);
            _firsts = firsts;
        }

        Array.Copy(_chunks, at, _chunks, at + 1, _chunkCount - at);
        Array.Copy(_firsts, at, _firsts, at + 1, _chunkCount - at);
        _chunks[at] = chunk;
        _firsts[at] = chunk.First;
        _chunkCount++;
    }

    private void RemoveChunk(int at)
    {
        _chunkCount--;
        Array.Copy(_chunks, at + 1, _chunks, at, _chunkCount - at);
        Array.Copy(_firsts, at + 1, _firsts, at, _chunkCount - at);
        _chunks[_chunkCount] = null!;
        _firsts[_chunkCount] = ulong.MaxValue;
    }

    /// <summary>How many chunks start at or below an address.</summary>
    private int CountUpTo(ulong address) => Math.Min(_chunkCount, Ascending.CountUpTo(_firsts, address));

    private static ulong[] NewFirsts(int length)
    {
        ulong[] firsts = GC.AllocateUninitializedArray<ulong>(length);
        firsts.AsSpan().Fill(ulong.MaxValue);
        return firsts;
    }

    /// <summary>Joins a chunk that has become sparse with its neighbours, so that removals free memory.</summary>
    private void MergeAround(int chunk)
    {
        for (int left = Math.Max(0, chunk - 1); left <= chunk && left + 1 < _chunkCount;)
        {
            int both = _chunks[left].Count + _chunks[left + 1].Count;
            bool isSparse = Math.Min(_chunks[left].Count, _chunks[left + 1].Count) < Sparse;
            if (!isSparse || both > DmaChunk.Capacity - Sparse)
            {
                left++;
                continue;
            }

            _chunks[left + 1].MoveTail(0, _chunks[left]);
            RemoveChunk(left + 1);
            chunk--;
        }
    }
}

/// <summary>The position of a mapping.</summary>
internal readonly record struct DmaPosition(int Chunk, int Index);
