using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;

namespace Vfio.Guard.Migration;

/// <summary>The part of a lease's state that the guard has: what its user sees of config space, of interrupts and of the MSI-X
/// table.</summary>
/// <remarks>Restored as the user would have brought it about, by the rules that hold for the user: a state that a hostile user made up
/// changes no bit of the hardware that its maker may not change. Called under the function's lock.</remarks>
internal sealed class GuardState(FunctionLayout layout, GuardedConfig config, GuardedBars bars, GuardedInterrupts interrupts)
{
    private byte[] _identity = [];

    internal FunctionLayout Layout => layout;

    internal ReadOnlySpan<byte> Identity => _identity.Length > 0 ? _identity : _identity = FunctionIdentity.Of(layout);

    internal int ConfigLength => config.Length;

    internal int InterruptsLength => interrupts.StateLength;

    internal int TableLength => bars.Table?.Length ?? 0;

    /// <summary>Whether the lease goes on in another process, with its user: memory stays where it is and is shared, and interrupts in use
    /// stay in use.</summary>
    internal bool IsMemoryShared { get; set; }

    /// <summary>Where the memory is that goes with the state: what the user may map, so that nothing of MSI-X is in it.</summary>
    internal IEnumerable<(RegionIndex Region, MmapArea Area)> Memory => IsMemoryShared ? [] : UserMemory;

    /// <summary>Where memory is that the user may map.</summary>
    internal IEnumerable<(RegionIndex Region, MmapArea Area)> UserMemory =>
        from number in Enumerable.Range(0, 6)
        let region = RegionIndex.Bar(number)
        where FunctionIdentity.HasMemory(layout, region)
        from area in MmapAreas.Around(layout.MsixTable, region, layout.Function.GetLength(region))
        select (region, area);

    internal void ReadConfig(Span<byte> to) => config.Read(0, to);

    internal void ReadInterrupts(Span<byte> to) => interrupts.Save(to);

    internal void ReadTable(Span<byte> to) => bars.Table?.Read(0, to);

    /// <summary>Takes a state over; the lengths are right. Interrupts last: what comes before them changes masks too.</summary>
    internal void Restore(ReadOnlySpan<byte> configBytes, ReadOnlySpan<byte> interruptBytes, ReadOnlySpan<byte> tableBytes)
    {
        bars.Table?.Write(0, tableBytes);
        config.Restore(configBytes);
        interrupts.Restore(interruptBytes, withUse: IsMemoryShared);
    }
}
