using static Vfio.Pci.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Process Address Space ID: PCI Express Base 6.0, section 7.8.9.</summary>
/// <remarks>All fixed and hidden: the address spaces that ids name are the owner's to set up in the IOMMU first.</remarks>
internal static class ProcessAddressSpaceTable
{
    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x04, 2, "PASIDCap")
        {
            { "Exec", 1, Fixed },
            { "Priv", 2, Fixed },
            { "TranslatedReq", 3, Fixed },
            { "Max PASID Width", 12, 8, Fixed, width => $"{width:x2}" },
        },
        new Register(0x06, 2, "PASIDCtl")
        {
            { "Enable", 0, Fixed },
            { "Exec", 1, Fixed },
            { "Priv", 2, Fixed },
            { "TranslatedReq", 3, Fixed },
        },
    ]);

    internal static readonly CapabilityTable Table = new(0x1b, true, "Process Address Space ID (PASID)", _ => Layout)
    {
        IsHidden = true,
        Describe = text =>
        {
            text.Line("PASIDCap", "PASIDCap: {Exec} {Priv}, Max PASID Width: {Max PASID Width}");
            text.Line("PASIDCtl", "PASIDCtl: {Enable} {Exec} {Priv}");
        },
    };
}
