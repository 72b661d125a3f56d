namespace Vfio.User.Server;

/// <summary>The live mappings of a session by their start: how many there are, and how long each is.</summary>
/// <remarks>A chained hash table for tens of thousands of entries. They are in blocks that are never copied, so growing leaves next
/// to no garbage: 65,000 mappings take 1.1 MB. Starts and sizes are whole pages. Not thread-safe.</remarks>
internal sealed class MappingSizes
{
    private const int BlockBits = 8, BlockLength = 1 << BlockBits;
    private const int FirstBuckets = 64, Growth = 4, LongestAverage = 4;
    private const int None = -1;
    private readonly List<Entry[]> _blocks = [];
    private int[] _buckets = [];
    private int _used;
    private int _free = None;

    /// <summary>How many mappings there are.</summary>
    internal int Count { get; private set; }

    /// <summary>The sum of their sizes, in bytes.</summary>
    internal ulong TotalBytes { get; private set; }

    /// <summary>Adds one whose start is not there yet.</summary>
    internal void Add(ulong start, ulong size)
    {
        if (Count >= _buckets.Length * LongestAverage)
            Spread(Math.Max(FirstBuckets, _buckets.Length * Growth));
        int place = TakePlace();
        ref int bucket = ref BucketOf(start);
        At(place) = new Entry(start, size, bucket);
        bucket = place;
        TotalBytes += size;
        Count++;
    }

    /// <summary>Finds the one that starts at an address.</summary>
    internal bool TryGet(ulong start, out ulong size)
    {
        size = 0;
        for (int place = Count == 0 ? None : BucketOf(start); place != None; place = At(place).Next)
        {
            ref Entry entry = ref At(place);
            if (entry.Start != start)
                continue;
            size = entry.Size;
            return true;
        }

        return false;
    }

    /// <summary>Whether a range, which does not wrap, overlaps any of them; checks each.</summary>
    internal bool Overlaps(ulong start, ulong size)
    {
        foreach (int first in _buckets)
        {
            for (int place = first; place != None; place = At(place).Next)
            {
                ref Entry entry = ref At(place);
                if (entry.Start <= start + (size - 1) && start <= entry.Start + (entry.Size - 1))
                    return true;
            }
        }

        return false;
    }

    /// <summary>Removes the one that starts at an address, which is there.</summary>
    internal void Remove(ulong start)
    {
        ref int bucket = ref BucketOf(start);
        int before = None;
        int place = bucket;
        for (; At(place).Start != start; place = At(place).Next)
            before = place;
        ref Entry entry = ref At(place);
        TotalBytes -= entry.Size;
        if (before == None)
            bucket = entry.Next;
        else
            At(before).Next = entry.Next;
        entry.Next = _free;
        _free = place;
        Count--;
    }

    /// <summary>Removes all, and frees their memory.</summary>
    internal void Clear()
    {
        _blocks.Clear();
        _buckets = [];
        _used = 0;
        _free = None;
        TotalBytes = 0;
        Count = 0;
    }

    private ref Entry At(int place) => ref _blocks[place >> BlockBits][place & (BlockLength - 1)];

    // Multiplied by the golden ratio, the upper bits spread starts at any distance from each other; the length is a power of two.
    private ref int BucketOf(ulong start) =>
        ref _buckets[(int)((start * 0x9e37_79b9_7f4a_7c15 >> 32) & (uint)(_buckets.Length - 1))];

    private int TakePlace()
    {
        int place = _free;
        if (place != None)
        {
            _free = At(place).Next;
            return place;
        }

        if (_used == _blocks.Count << BlockBits)
            _blocks.Add(new Entry[BlockLength]);
        return _used++;
    }

    /// <summary>Distributes the entries over more buckets.</summary>
    private void Spread(int buckets)
    {
        int[] old = _buckets;
        _buckets = new int[buckets];
        _buckets.AsSpan().Fill(None);
        foreach (int first in old)
        {
            for (int place = first; place != None;)
            {
                ref Entry entry = ref At(place);
                int next = entry.Next;
                ref int bucket = ref BucketOf(entry.Start);
                entry.Next = bucket;
                bucket = place;
                place = next;
            }
        }
    }

    /// <summary>16 bytes: the index of the next entry is in the bits of start and size that are 0 for whole pages.</summary>
    private struct Entry
    {
        private const int FreeBits = 12, FreeMask = (1 << FreeBits) - 1;
        private ulong _start;
        private ulong _size;

        internal Entry(ulong start, ulong size, int next)
        {
            _start = start;
            _size = size;
            Next = next;
        }

        internal readonly ulong Start => _start & ~(ulong)FreeMask;

        internal readonly ulong Size => _size & ~(ulong)FreeMask;

        /// <summary>The index of the next entry, or <see cref="None"/>: stored plus one, in 24 bits.</summary>
        internal int Next
        {
            readonly get => (((int)_start & FreeMask) | ((int)_size & FreeMask) << FreeBits) - 1;
            set
            {
                uint stored = (uint)(value + 1);
                _start = Start | stored & FreeMask;
                _size = Size | stored >> FreeBits;
            }
        }
    }
}
