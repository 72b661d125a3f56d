using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Power Budgeting: PCI Express Base 6.0, section 7.8.1.</summary>
internal static class PowerBudgetingTable
{
    private static readonly CapabilityLayout Layout = new(0x10,
    [
        // Only chooses what Data shows.
        new Register(0x04, 1, "Select") { { "Select", 7, 0, PassedThrough } },
        new Register(0x08, 4, "Data")
        {
            { "BasePower", 7, 0, Fixed, FieldText.Decimal },
            { "Scale", 9, 8, Fixed },
            { "PMSubState", 12, 10, Fixed },
            { "PMState", 14, 13, Fixed, state => $"D{state}" },
            { "Type", 17, 15, Fixed },
            { "Rail", 20, 18, Fixed },
        },
        new Register(0x0c, 1, "Caps") { { "SystemAllocated", 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x04, true, "Power Budgeting", _ => Layout);
}
