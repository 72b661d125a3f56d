using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Vendor-Specific Information: PCI Local Bus 3.0, appendix H. Its third byte is its length.</summary>
/// <remarks>What it does is the vendor's, as registers in a BAR are: it passes through, and isolation is the IOMMU's task.</remarks>
internal static class VendorSpecificTable
{
    internal static readonly CapabilityTable Table = new(0x09, false, "Vendor Specific Information", Layout)
    {
        Describe = VendorSpecificText.Describe,
    };

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int length = Math.Max(3, (int)view.Read(2, 1));
        List<Register> registers = [new(0x02, 1, "Length") { { "Length", 7, 0, Fixed, FieldText.Decimal } }];
        if (length > 3)
            registers.Add(new(0x03, 1, "Data03") { { "Data", 7, 0, PassedThrough } });
        registers.AddRange(RawRegisters.Between(4, length, PassedThrough));
        return new(length, registers);
    }
}
