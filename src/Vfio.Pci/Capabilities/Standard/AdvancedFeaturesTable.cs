using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Conventional PCI Advanced Features: PCI ECN of 27 July 2006.</summary>
internal static class AdvancedFeaturesTable
{
    private static readonly CapabilityLayout Layout = new(6,
    [
        new Register(0x02, 1, "Length") { { "Length", 7, 0, Fixed, FieldText.Decimal } },
        new Register(0x03, 1, "AFCap") { { "TP", 0, Fixed }, { "FLR", 1, Fixed } },
        // The guard makes the reset, and restores what it clears.
        new Register(0x04, 1, "AFCtrl") { { "FLR", 0, Virtual } },
        new Register(0x05, 1, "AFStatus") { { "TP", 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x13, false, "PCI Advanced Features", _ => Layout)
    {
        Describe = text =>
        {
            text.Line("AFCap", "AFCap: {TP} {FLR}");
            text.Line("AFCtrl", "AFCtrl: {FLR}");
            text.Line("AFStatus", "AFStatus: {TP}");
        },
    };
}
