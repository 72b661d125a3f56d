using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>MSI-X: PCI Express Base 6.0, section 7.7.2.</summary>
internal static class MsiXTable
{
    private static readonly CapabilityLayout Layout = new(12,
    [
        new Register(0x02, 2, "Flags")
        {
            { "Count", 10, 0, Fixed, code => $"{code + 1}" },
            // Both act through interrupt requests, as the table in the BAR does.
            { "Masked", 14, Virtual },
            { "Enable", 15, Virtual },
        },
        new Register(0x04, 4, "Vector table") { { "BAR", 2, 0, Fixed, FieldText.Decimal }, { "offset", 31, 3, Fixed, Offset } },
        new Register(0x08, 4, "PBA") { { "BAR", 2, 0, Fixed, FieldText.Decimal }, { "offset", 31, 3, Fixed, Offset } },
    ]);

    internal static readonly CapabilityTable Table = new(0x11, false, "MSI-X", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        text.SetTitle("Flags", "MSI-X: {Enable} Count={Count} {Masked}");
        text.Line("Vector table", "Vector table: BAR={BAR} offset={offset}");
        text.Line("PBA", "PBA: BAR={BAR} offset={offset}");
    }

    private static string Offset(uint code) => $"{code << 3:x8}";
}
