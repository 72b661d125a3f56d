using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Address Translation Services: PCI Express Base 6.0, section 10.5.1.</summary>
/// <remarks>All fixed: a function that may send translated addresses is past the IOMMU; only the owner can check that.</remarks>
internal static class AddressTranslationTable
{
    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x04, 2, "ATSCap")
        {
            { "Invalidate Queue Depth", 4, 0, Fixed, depth => $"{depth:x2}" },
            { "PageAligned", 5, Fixed },
            { "GlobalInvalidate", 6, Fixed },
            { "RelaxedOrdering", 7, Fixed },
        },
        new Register(0x06, 2, "ATSCtl")
        {
            { "Smallest Translation Unit", 4, 0, Fixed, unit => $"{unit:x2}" },
            { "Enable", 15, Fixed },
        },
    ]);

    internal static readonly CapabilityTable Table = new(0x0f, true, "Address Translation Service (ATS)", _ => Layout)
    {
        Describe = text =>
        {
            text.Line("ATSCap", "ATSCap:\tInvalidate Queue Depth: {Invalidate Queue Depth}");
            text.Line("ATSCtl", "ATSCtl:\t{Enable}, Smallest Translation Unit: {Smallest Translation Unit}");
        },
    };
}
