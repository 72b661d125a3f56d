using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Vital Product Data: PCI Local Bus 3.0, appendix I; PCI Express Base 6.0, section 7.9.18.</summary>
internal static class VitalProductDataTable
{
    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x02, 2, "Address")
        {
            { "Address", 14, 0, PassedThrough },
            // 0 starts a read of VPD, 1 a write of the board's memory, which outlives the lease: only 0 is written to the hardware.
            { "F", 15, FixedStatus },
        },
        new Register(0x04, 4, "Data") { { "Data", 31, 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x03, false, "Vital Product Data", _ => Layout)
    {
        // The data is behind two registers; a picture of config space holds none of it.
        Describe = text => text.Add("Not readable"),
    };
}
