using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Dynamic Power Allocation: PCI Express Base 6.0, section 7.9.12.</summary>
/// <remarks>All fixed: power and cooling are the machine's budget.</remarks>
internal static class DynamicPowerTable
{
    private static readonly Register[] Start =
    [
        new Register(0x04, 4, "DPACap")
        {
            { "SubstateMax", 4, 0, Fixed, FieldText.Decimal },
            { "TransLatencyUnit", 9, 8, Fixed },
            { "PowerAllocScale", 13, 12, Fixed },
            { "TransLatency0", 23, 16, Fixed, FieldText.Decimal },
            { "TransLatency1", 31, 24, Fixed, FieldText.Decimal },
        },
        new Register(0x08, 4, "DPALatency") { { "Indicators", 31, 0, Fixed } },
        new Register(0x0c, 2, "DPASta") { { "Substate", 4, 0, Fixed, FieldText.Decimal }, { "ControlEnabled", 8, FixedStatus } },
        new Register(0x0e, 2, "DPACtl") { { "Substate", 4, 0, Fixed, FieldText.Decimal } },
    ];

    internal static readonly CapabilityTable Table = new(0x16, true, "Dynamic Power Allocation", Layout);

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int substates = (int)view.Read(4, 4).Get(4, 0) + 1;
        IEnumerable<Register> powers = Enumerable.Range(0, substates)
            .Select(index => new Register(0x10 + index, 1, $"Power{index}") { { "Power", 7, 0, Fixed, FieldText.Decimal } });
        return new(0x10 + substates, [.. Start, .. powers]);
    }
}
