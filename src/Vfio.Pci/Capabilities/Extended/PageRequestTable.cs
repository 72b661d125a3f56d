using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Page Request Interface: PCI Express Base 6.0, section 10.5.2.</summary>
/// <remarks>All fixed: the owner answers page requests, or there are none.</remarks>
internal static class PageRequestTable
{
    private static readonly CapabilityLayout Layout = new(0x10,
    [
        // A 1 in Reset starts one.
        new Register(0x04, 2, "PRICtl") { { "Enable", 0, Fixed }, { "Reset", 1, FixedStatus } },
        new Register(0x06, 2, "PRISta")
        {
            { "RF", 0, FixedStatus },
            { "UPRGI", 1, FixedStatus },
            { "Stopped", 8, Fixed },
            { "PASID", 15, Fixed },
        },
        new Register(0x08, 4, "Page Request Capacity") { { "Pages", 31, 0, Fixed, pages => $"{pages:x8}" } },
        new Register(0x0c, 4, "Page Request Allocation") { { "Pages", 31, 0, Fixed, pages => $"{pages:x8}" } },
    ]);

    internal static readonly CapabilityTable Table = new(0x13, true, "Page Request Interface (PRI)", _ => Layout)
    {
        Describe = text =>
        {
            text.Line("PRICtl", "PRICtl: {Enable} {Reset}");
            text.Line("PRISta", "PRISta: {RF} {UPRGI} {Stopped}");
            text.Line("Page Request Allocation",
                "Page Request Capacity: {Page Request Capacity:Pages}, Page Request Allocation: {Pages}");
        },
    };
}
