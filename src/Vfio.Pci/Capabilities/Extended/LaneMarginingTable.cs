using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Lane Margining at the Receiver: PCI Express Base 6.0, section 7.7.10. A pair of registers for each lane.</summary>
/// <remarks>All fixed: margining moves the sampling point of a link in use.</remarks>
internal static class LaneMarginingTable
{
    internal static readonly CapabilityTable Table = new(0x27, true, "Lane Margining at the Receiver", Layout)
    {
        Describe = text =>
        {
            text.Line("PortCap", "PortCap: {Uses Driver}");
            text.Line("PortSta", "PortSta: {MargReady} {MargSoftReady}");
        },
    };

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int lanes = PhysicalLayerTables.Lanes(view.Space);
        return new(8 + (4 * lanes),
        [
            new Register(0x04, 2, "PortCap") { { "Uses Driver", 0, Fixed } },
            new Register(0x06, 2, "PortSta") { { "MargReady", 0, Fixed }, { "MargSoftReady", 1, Fixed } },
            .. Enumerable.Range(0, lanes).SelectMany(lane => (Register[])
                [Lane(8 + (4 * lane), $"Lane{lane}Ctl"), Lane(10 + (4 * lane), $"Lane{lane}Sta")]),
        ]);
    }

    private static Register Lane(int offset, string name) => new(offset, 2, name)
    {
        { "Receiver", 2, 0, Fixed, FieldText.Decimal },
        { "Type", 5, 3, Fixed },
        { "UsageModel", 6, Fixed },
        { "Payload", 15, 8, Fixed },
    };
}
