using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;
using Vfio.Native;

namespace Vfio.Guard.Bars;

/// <summary>BARs and ROM as the user sees them: the device's own, except for the MSI-X table and pending bits, which are virtual.</summary>
/// <remarks>Accesses are called under the function's lock.</remarks>
internal sealed class GuardedBars
{
    // One bit for each of the 2048 vectors.
    private const int MaxPendingBytes = 256;

    private readonly IPciFunction _function;
    private readonly VirtualMsixTable? _table;
    private readonly RegionInfo[] _infos;
    private readonly MsixRanges _ranges;

    internal GuardedBars(FunctionLayout layout, GuardedInterrupts interrupts)
    {
        _function = layout.Function;
        _table = layout.MsixTable is { } msix ? new VirtualMsixTable(msix, interrupts) : null;
        _infos = [.. Enumerable.Range(0, (int)RegionIndex.Rom.Value + 1).Select(i => Describe(layout, new RegionIndex((uint)i)))];
        _ranges = new MsixRanges(layout.MsixTable);
    }

    /// <summary>Whether memory that a user may map was shown, or written past its content.</summary>
    internal bool HasShownMemory { get; set; }

    internal RegionInfo GetInfo(RegionIndex region)
    {
        RegionInfo info = _infos[region.Value];
        HasShownMemory |= info.File is not null;
        return info;
    }

    /// <summary>Describes a region again, after its memory moved to another file.</summary>
    internal void Refresh(FunctionLayout layout, RegionIndex region) => _infos[region.Value] = Describe(layout, region);

    /// <summary>Bytes of a BAR or the ROM; 0 where it is absent.</summary>
    internal ulong GetLength(RegionIndex region) => _infos[region.Value].Length;

    internal void Reset() => _table?.Reset();

    /// <summary>The user's MSI-X table; null when the function has none.</summary>
    internal VirtualMsixTable? Table => _table;

    internal void Read(RegionIndex region, ulong offset, Span<byte> destination)
    {
        if (!_ranges.Meet(region, offset, destination.Length))
        {
            _function.ReadRegion(region, offset, destination);
            return;
        }

        while (destination.Length > 0)
        {
            MsixPart part = MsixPart.At(_table!.Description, region, offset, destination.Length);
            Span<byte> piece = destination[..part.Count];
            if (part.Kind == MsixPartKind.Table)
                _table.Read((int)part.Offset, piece);
            else if (part.Kind == MsixPartKind.Pending)
                ReadPending(region, offset, (int)part.Offset, piece);
            else
                _function.ReadRegion(region, offset, piece);
            destination = destination[part.Count..];
            offset += (ulong)part.Count;
        }
    }

    internal void Write(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        if (!_ranges.Meet(region, offset, source.Length))
        {
            _function.WriteRegion(region, offset, source);
            return;
        }

        while (source.Length > 0)
        {
            MsixPart part = MsixPart.At(_table!.Description, region, offset, source.Length);
            if (part.Kind == MsixPartKind.Table)
                _table.Write((int)part.Offset, source[..part.Count]);
            else if (part.Kind == MsixPartKind.Other)
                _function.WriteRegion(region, offset, source[..part.Count]);
            source = source[part.Count..];
            offset += (ulong)part.Count;
        }
    }

    /// <summary>Reads the pending bits of the guard and of the function: a vector without an eventfd is masked in the function.</summary>
    private void ReadPending(RegionIndex region, ulong offset, int offsetInPart, Span<byte> destination)
    {
        Span<byte> ours = stackalloc byte[MaxPendingBytes];
        _function.ReadRegion(region, offset, destination);
        _table!.ReadPending(offsetInPart, ours[..destination.Length]);
        for (int i = 0; i < destination.Length; i++)
            destination[i] |= ours[i];
    }

    private static RegionInfo Describe(FunctionLayout layout, RegionIndex region)
    {
        ulong length = layout.Function.GetLength(region);
        if (length == 0)
            return RegionInfo.Absent(region);
        RegionFlags access = region == RegionIndex.Rom ? RegionFlags.Read : RegionFlags.Read | RegionFlags.Write;
        RegionInfo info = new(region, length, access);
        if (!region.IsBar || layout.Function.GetMemory(region) is not { } memory)
            return info;
        bool isWhole = length % MmapAreas.PageBytes == 0;
        IReadOnlyList<MmapArea> areas = MmapAreas.Around(layout.MsixTable, region, length);
        if (!isWhole || areas.Count == 0)
            return info;
        bool isAll = areas is [{ Offset: 0 } only] && only.Length == length;
        return info with
        {
            Flags = access | RegionFlags.Map,
            File = memory.File,
            FileOffset = memory.FileOffset,
            MmapAreas = isAll ? [] : areas,
        };
    }
}
