using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Flattening Portal Bridge: PCI Express Base 6.0, section 7.8.11.</summary>
internal static class FlatteningPortalTable
{
    private static readonly CapabilityLayout Layout = new(0x24,
    [
        new Register(0x04, 4, "FPBCap")
        {
            { "RID", 0, Fixed },
            { "MemLow", 1, Fixed },
            { "MemHigh", 2, Fixed },
            { "SecDevices", 7, 3, Fixed, code => $"{code + 1}" },
            { "RIDVector", 10, 8, Fixed, VectorBits },
            { "MemLowVector", 18, 16, Fixed, VectorBits },
            { "MemHighVector", 26, 24, Fixed, VectorBits },
        },
        new Register(0x08, 4, "RIDCtl1") { { "Enable", 0, Fixed }, { "Granularity", 7, 4, Fixed }, { "Start", 31, 19, Fixed } },
        new Register(0x0c, 4, "RIDCtl2") { { "SecondaryStart", 15, 3, Fixed } },
        new Register(0x10, 4, "MemLowCtl") { { "Enable", 0, Fixed }, { "Granularity", 7, 4, Fixed }, { "Start", 31, 20, Fixed } },
        new Register(0x14, 4, "MemHighCtl1") { { "Enable", 0, Fixed }, { "Granularity", 7, 4, Fixed }, { "StartLow", 31, 28, Fixed } },
        new Register(0x18, 4, "MemHighCtl2") { { "StartHigh", 31, 0, Fixed } },
        new Register(0x1c, 4, "AccessCtl") { { "Offset", 7, 0, Fixed }, { "Vector", 15, 14, Fixed } },
        new Register(0x20, 4, "AccessData") { { "Data", 31, 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x15, false, "Flattening Portal Bridge", _ => Layout);

    private static string VectorBits(uint code) => $"{256 << (int)code}";
}
