using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Vendor-Specific Extended Capability: PCI Express Base 6.0, section 7.9.5. Passed through as its standard sister is.</summary>
internal static class ExtendedVendorSpecificTable
{
    internal static readonly CapabilityTable Table = new(0x0b, true, "Vendor Specific Information", Layout)
    {
        Describe = text => text.SetTitle("VendorHeader", "Vendor Specific Information: ID={ID} Rev={Rev} Len={Len} <?>"),
    };

    private static readonly Register Header = new(0x04, 4, "VendorHeader")
    {
        { "ID", 15, 0, Fixed, id => $"{id:x4}" },
        { "Rev", 19, 16, Fixed, FieldText.Decimal },
        { "Len", 31, 20, Fixed, length => $"{length:x3}" },
    };

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int length = Math.Max(8, (int)view.Read(4, 4).Get(31, 20));
        return new(length, [Header, .. RawRegisters.Between(8, length, PassedThrough)]);
    }
}
