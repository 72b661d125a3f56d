using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;

namespace Vfio.Guard.Migration;

/// <summary>The guard's part of a lease's state: config space, interrupts and the MSI-X table as the user sees them.</summary>
/// <remarks>Restored as if the user had written it, by the user's rules: a state that a hostile user forged changes no bit of the
/// hardware that this user may not change. Called under the function's lock.</remarks>
internal sealed class GuardState(FunctionLayout layout, GuardedConfig config, GuardedBars bars, GuardedInterrupts interrupts)
{
    private byte[] _identity = [];

    internal FunctionLayout Layout => layout;

    internal ReadOnlySpan<byte> Identity => _identity.Length > 0 ? _identity : _identity = FunctionIdentity.Of(layout);

    internal int ConfigLength => config.Length;

    internal int InterruptsLength => interrupts.StateLength;

    internal int TableLength => bars.Table?.Length ?? 0;

    /// <summary>Whether this is a handover, with the user: memory stays where it is and is shared, and interrupts in use
    /// stay in use.</summary>
    internal bool IsMemoryShared { get; set; }

    /// <summary>The memory that the state includes: what the user may map, without the pages of MSI-X.</summary>
    internal IEnumerable<(RegionIndex Region, MmapArea Area)> Memory => IsMemoryShared ? [] : UserMemory;

    /// <summary>Says that memory is written past its content.</summary>
    internal void ShowMemory() => bars.HasShownMemory = true;

    /// <summary>The memory that the user may map.</summary>
    internal IEnumerable<(RegionIndex Region, MmapArea Area)> UserMemory =>
        from number in Enumerable.Range(0, 6)
        let region = RegionIndex.Bar(number)
        where FunctionIdentity.HasMemory(layout, region)
        from area in MmapAreas.Around(layout.MsixTable, region, layout.Function.GetLength(region))
        select (region, area);

    internal void ReadConfig(Span<byte> to) => config.Read(0, to);

    internal void ReadInterrupts(Span<byte> to) => interrupts.Save(to);

    internal void ReadTable(Span<byte> to) => bars.Table?.Read(0, to);

    /// <summary>Restores a state whose lengths were checked. Interrupts come last: what comes before them changes masks too.</summary>
    internal void Restore(ReadOnlySpan<byte> configBytes, ReadOnlySpan<byte> interruptBytes, ReadOnlySpan<byte> tableBytes)
    {
        bars.Table?.Write(0, tableBytes);
        config.Restore(configBytes);
        interrupts.Restore(interruptBytes, withUse: IsMemoryShared);
    }
}
