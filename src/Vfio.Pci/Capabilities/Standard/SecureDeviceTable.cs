using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Secure Device: an IOMMU, AMD I/O Virtualization Technology 3.0, section 3.2.</summary>
internal static class SecureDeviceTable
{
    internal static readonly CapabilityTable Table = new(0x0f, false, "Secure device", Layout);

    private static readonly Register[] Start =
    [
        new Register(0x02, 2, "Flags")
        {
            { "Type", 2, 0, Fixed, FieldText.Decimal },
            { "Revision", 7, 3, Fixed, FieldText.Decimal },
            { "IOTLB", 8, Fixed },
            { "HTTunnel", 9, Fixed },
            { "NPCache", 10, Fixed },
            { "ExtFeatures", 11, Fixed },
            { "CapExt", 12, Fixed },
        },
        new Register(0x04, 4, "BaseLow") { { "Enable", 0, Fixed }, { "Base", 31, 14, Fixed } },
        new Register(0x08, 4, "BaseHigh") { { "Base", 31, 0, Fixed } },
        new Register(0x0c, 4, "Range")
        {
            { "UnitID", 4, 0, Fixed },
            { "Valid", 7, Fixed },
            { "Bus", 15, 8, Fixed },
            { "First", 23, 16, Fixed },
            { "Last", 31, 24, Fixed },
        },
        new Register(0x10, 4, "Misc0")
        {
            { "MSI", 4, 0, Fixed },
            { "GuestBits", 7, 5, Fixed },
            { "PhysicalBits", 14, 8, Fixed, FieldText.Decimal },
            { "VirtualBits", 21, 15, Fixed, FieldText.Decimal },
            { "HTATSReserved", 22, Fixed },
            { "MSIPPR", 31, 27, Fixed },
        },
    ];

    private static CapabilityLayout Layout(CapabilityView view) => view.Read(2, 2).Get(12)
        ? new(0x18, [.. Start, new Register(0x14, 4, "Misc1") { { "MSIGA", 4, 0, Fixed } }])
        : new(0x14, Start);
}
