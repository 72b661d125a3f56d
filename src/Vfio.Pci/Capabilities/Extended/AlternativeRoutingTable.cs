using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Alternative Routing-ID Interpretation: PCI Express Base 6.0, section 7.8.8.</summary>
/// <remarks>All fixed: function groups arbitrate between functions, which others may hold.</remarks>
internal static class AlternativeRoutingTable
{
    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x04, 2, "ARICap")
        {
            { "MFVC", 0, Fixed },
            { "ACS", 1, Fixed },
            { "Next Function", 15, 8, Fixed, FieldText.Decimal },
        },
        new Register(0x06, 2, "ARICtl")
        {
            { "MFVC", 0, Fixed },
            { "ACS", 1, Fixed },
            { "Function Group", 6, 4, Fixed, FieldText.Decimal },
        },
    ]);

    internal static readonly CapabilityTable Table = new(0x0e, true, "Alternative Routing-ID Interpretation (ARI)", _ => Layout)
    {
        Describe = text =>
        {
            text.Line("ARICap", "ARICap:\t{MFVC} {ACS}, Next Function: {Next Function}");
            text.Line("ARICtl", "ARICtl:\t{MFVC} {ACS}, Function Group: {Function Group}");
        },
    };
}
