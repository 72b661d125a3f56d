using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>Ranges of bytes that Write Uncorrectable made unreadable, until they are written again. They are forgotten when the image is closed.</summary>
/// <remarks>Any thread. A drive without such blocks, which is each, costs the read of one field.</remarks>
internal sealed class NvmeBadBlocks
{
    /// <summary>Most ranges: a driver could name one for every other block.</summary>
    internal const int MaxRanges = 1024;

    private readonly Lock _lock = new();
    private readonly List<(long Start, long End)> _ranges = [];
    private volatile bool _isAny;

    /// <summary>Whether a range has such a block.</summary>
    internal bool Overlap(long start, long length)
    {
        if (!_isAny)
            return false;
        lock (_lock)
            return _ranges.Exists(range => range.Start < start + length && start < range.End);
    }

    /// <summary>Adds a range.</summary>
    /// <returns>False when there are too many.</returns>
    internal bool TryAdd(long start, long length)
    {
        lock (_lock)
        {
            // Counted before anything changes: a refused command has no effect.
            if (CountWithout(start, start + length) >= MaxRanges)
                return false;
            Cut(start, start + length);
            _ranges.Add((start, start + length));
            _isAny = true;
            return true;
        }
    }

    /// <summary>Whether a range may be written: its removal does not split others into too many. Several threads that ask at once may
    /// exceed that by a few.</summary>
    internal bool CanRemove(long start, long length)
    {
        if (!_isAny)
            return true;
        lock (_lock)
            return _ranges.Count < MaxRanges || CountWithout(start, start + length) <= MaxRanges;
    }

    /// <summary>Removes a range, which was written.</summary>
    internal void Remove(long start, long length)
    {
        if (!_isAny)
            return;
        lock (_lock)
        {
            Cut(start, start + length);
            _isAny = _ranges.Count > 0;
        }
    }

    /// <summary>Forgets all.</summary>
    internal void Clear()
    {
        lock (_lock)
        {
            _ranges.Clear();
            _isAny = false;
        }
    }

    /// <summary>Saves them.</summary>
    internal void Save(StateWriter state)
    {
        lock (_lock)
        {
            state.Write(_ranges.Count);
            foreach ((long start, long end) in _ranges)
            {
                state.Write(start);
                state.Write(end);
            }
        }
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        Clear();
        if (!state.TryRead(out int count) || count is < 0 or > 2 * MaxRanges)
            return false;
        for (int i = 0; i < count; i++)
        {
            if (!state.TryRead(out long start) || !state.TryRead(out long end) || start < 0 || end <= start)
                return false;
            _ranges.Add((start, end));
        }

        _isAny = count > 0;
        return true;
    }

    /// <summary>How many ranges there are without the bytes of one.</summary>
    private int CountWithout(long start, long end)
    {
        int count = 0;
        foreach ((long from, long to) in _ranges)
        {
            if (from >= end || start >= to)
                count++;
            else
                count += (from < start ? 1 : 0) + (end < to ? 1 : 0);
        }

        return count;
    }

    private void Cut(long start, long end)
    {
        for (int i = _ranges.Count - 1; i >= 0; i--)
        {
            (long from, long to) = _ranges[i];
            if (from >= end || start >= to)
                continue;
            _ranges.RemoveAt(i);
            if (from < start)
                _ranges.Add((from, start));
            if (end < to)
                _ranges.Add((end, to));
        }
    }
}
