namespace Vfio.Tracing.Export;

/// <summary>The memory that is mapped for a device, and how much it is.</summary>
/// <remarks>A trace may tell of any number of ranges: none of the calls looks at all of them.</remarks>
internal sealed class MappedRanges
{
    private readonly SortedSet<ulong> _starts = [];
    private readonly Dictionary<ulong, ulong> _lengths = [];

    /// <summary>Bytes mapped, modulo 2^64.</summary>
    internal ulong Bytes { get; private set; }

    /// <summary>Adds a range, in place of one with the same start.</summary>
    internal void Add(ulong start, ulong length)
    {
        if (!_starts.Add(start))
            Bytes = unchecked(Bytes - _lengths[start]);
        _lengths[start] = length;
        Bytes = unchecked(Bytes + length);
    }

    /// <summary>Removes the ranges that start in a range.</summary>
    internal void Remove(ulong start, ulong length)
    {
        if (length == 0)
            return;
        ulong last = length - 1 > ulong.MaxValue - start ? ulong.MaxValue : start + (length - 1);
        foreach (ulong gone in _starts.GetViewBetween(start, last).ToArray())
        {
            _starts.Remove(gone);
            if (_lengths.Remove(gone, out ulong bytes))
                Bytes = unchecked(Bytes - bytes);
        }
    }

    /// <summary>Removes all.</summary>
    internal void Clear()
    {
        _starts.Clear();
        _lengths.Clear();
        Bytes = 0;
    }
}
