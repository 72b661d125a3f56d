using Vfio.Pci.Config;

namespace Vfio.Pci.Validation;

/// <summary>Where the MSI-X table and pending bits of a function are.</summary>
/// <param name="Vectors">1 to 2048.</param>
/// <param name="TableBar">The BAR that holds the table; 6 and 7 are reserved.</param>
/// <param name="TableOffset">Where in it, in bytes.</param>
/// <param name="PendingBar">The BAR that holds the pending bits; 6 and 7 are reserved.</param>
/// <param name="PendingOffset">Where in it, in bytes.</param>
/// <remarks>PCI Local Bus 3.0, section 6.8.2.</remarks>
internal readonly record struct MsixLocation(int Vectors, int TableBar, uint TableOffset, int PendingBar, uint PendingOffset)
{
    /// <summary>MSI-X: 0x11 as the id of a capability.</summary>
    public const ushort CapabilityId = 0x11;

    /// <summary>Length of the table: 16 bytes a vector.</summary>
    public ulong TableBytes => (ulong)Vectors * 16;

    /// <summary>Reads it from the first MSI-X capability; null when the function has none.</summary>
    /// <param name="space">Config space.</param>
    /// <param name="capabilities">What is in it.</param>
    public static MsixLocation? Find(ConfigSpace space, CapabilityList capabilities)
    {
        ArgumentNullException.ThrowIfNull(capabilities);
        return capabilities.Find(CapabilityId, isExtended: false) is { } found ? Read(space, found.Offset) : null;
    }

    /// <summary>Reads it from the capability.</summary>
    /// <param name="space">Config space.</param>
    /// <param name="capability">Where the capability is.</param>
    public static MsixLocation Read(ConfigSpace space, int capability)
    {
        ArgumentNullException.ThrowIfNull(space);
        uint table = space.Read32(capability + 4);
        uint pending = space.Read32(capability + 8);
        return new MsixLocation(
            (int)((uint)space.Read16(capability + 2)).Get(10, 0) + 1, (int)(table & 7), table & ~7u, (int)(pending & 7), pending & ~7u);
    }

    /// <summary>Whether both are inside their BARs.</summary>
    /// <param name="barBytes">Sizes of BAR0 to BAR5, in bytes.</param>
    public bool Fits(IReadOnlyList<ulong> barBytes)
    {
        ArgumentNullException.ThrowIfNull(barBytes);
        return TableFits(barBytes)
            && Fits(barBytes, PendingBar, PendingOffset, (ulong)(Vectors + 63) / 64 * 8);
    }

    /// <summary>Whether the table is inside its BAR, wherever the pending bits are.</summary>
    /// <param name="barBytes">Sizes of BAR0 to BAR5, in bytes.</param>
    public bool TableFits(IReadOnlyList<ulong> barBytes)
    {
        ArgumentNullException.ThrowIfNull(barBytes);
        return Fits(barBytes, TableBar, TableOffset, TableBytes);
    }

    private static bool Fits(IReadOnlyList<ulong> barBytes, int bar, ulong offset, ulong length) =>
        bar < barBytes.Count && offset < barBytes[bar] && length <= barBytes[bar] - offset;
}
