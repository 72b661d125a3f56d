namespace Vfio.Guard.Migration;

/// <summary>Walks through the memory that a state includes, from the first byte to the last.</summary>
internal sealed class MemoryWalk(IEnumerable<(RegionIndex Region, MmapArea Area)> parts)
{
    private readonly Queue<(RegionIndex Region, MmapArea Area)> _parts = new(parts);
    private ulong _done;

    internal bool IsAtEnd => _parts.Count == 0;

    internal RegionIndex Region => _parts.Peek().Region;

    /// <summary>Offset of the next byte in its region.</summary>
    internal ulong Offset => _parts.Peek().Area.Offset + _done;

    /// <summary>How many bytes follow without a gap.</summary>
    internal ulong Left => _parts.Peek().Area.Length - _done;

    internal void Advance(int count)
    {
        _done += (ulong)count;
        if (Left != 0)
            return;
        _parts.Dequeue();
        _done = 0;
    }
}
