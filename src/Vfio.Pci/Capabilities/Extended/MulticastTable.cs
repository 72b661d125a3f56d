using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Multicast: PCI Express Base 6.0, section 7.9.11. Ports have an overlay BAR, endpoints end before it.</summary>
/// <remarks>All fixed: groups reach across functions.</remarks>
internal static class MulticastTable
{
    internal static readonly CapabilityTable Table = new(0x12, true, "Multicast", Layout) { Describe = Describe };

    private static readonly Register[] Start =
    [
        new Register(0x04, 2, "McastCap")
        {
            { "MaxGroups", 5, 0, Fixed, code => $"{code + 1}" },
            { "WindowSz", 13, 8, Fixed, FieldText.Decimal },
            { "ECRCRegen", 15, Fixed },
        },
        new Register(0x06, 2, "McastCtl") { { "NumGroups", 5, 0, Fixed, code => $"{code + 1}" }, { "Enable", 15, Fixed } },
        new Register(0x08, 4, "McastBARLow") { { "IndexPos", 5, 0, Fixed, FieldText.Decimal }, { "BaseAddr", 31, 12, Fixed } },
        new Register(0x0c, 4, "McastBARHigh") { { "BaseAddr", 31, 0, Fixed } },
        .. Vector(0x10, "McastReceiveVec"),
        .. Vector(0x18, "McastBlockAllVec"),
        .. Vector(0x20, "McastBlockUntransVec"),
    ];

    private static readonly Register[] Overlay =
    [
        new Register(0x28, 4, "McastOverlayLow") { { "OverlaySize", 5, 0, Fixed, FieldText.Decimal }, { "BaseAddr", 31, 6, Fixed } },
        new Register(0x2c, 4, "McastOverlayHigh") { { "BaseAddr", 31, 0, Fixed } },
    ];

    private static CapabilityLayout Layout(CapabilityView view) =>
        IsEndpoint(view.PortType) ? new(0x28, Start) : new(0x30, [.. Start, .. Overlay]);

    private static bool IsEndpoint(PortType type) => type is PortType.Endpoint or PortType.IntegratedEndpoint;

    private static Register[] Vector(int offset, string name) =>
    [
        new Register(offset, 4, $"{name}Low") { { "Groups", 31, 0, Fixed } },
        new Register(offset + 4, 4, $"{name}High") { { "Groups", 31, 0, Fixed } },
    ];

    private static void Describe(CapabilityText text)
    {
        PortType type = text.PortType;
        if (!text.Has("McastBlockUntransVecHigh"))
            return;
        bool isPort = type is PortType.RootPort or PortType.UpstreamPort or PortType.DownstreamPort;
        text.Line("McastCap", "McastCap: MaxGroups {MaxGroups}"
            + (IsEndpoint(type) ? $", WindowSz {{WindowSz}} ({1UL << (int)text.Get("McastCap", "WindowSz")} bytes)" : "")
            + (isPort ? ", {ECRCRegen}" : ""));
        text.Line("McastCtl", "McastCtl: NumGroups {NumGroups}, {Enable}");
        text.Line("McastBARLow", $"McastBAR: IndexPos {{IndexPos}}, BaseAddr {Long(text, "McastBAR") & ~0xfffUL:x16}");
        text.Add($"McastReceiveVec:      {Long(text, "McastReceiveVec"):x16}");
        text.Add($"McastBlockAllVec:     {Long(text, "McastBlockAllVec"):x16}");
        text.Add($"McastBlockUntransVec: {Long(text, "McastBlockUntransVec"):x16}");
        if (!text.Has("McastOverlayHigh"))
            return;
        int size = (int)text.Get("McastOverlayLow", "OverlaySize");
        string bytes = size >= 6 ? $"{1UL << size} bytes" : "disabled";
        text.Line("McastOverlayLow",
            $"McastOverlayBAR: OverlaySize {{OverlaySize}} ({bytes}), BaseAddr {Long(text, "McastOverlay") & ~0x3fUL:x16}");
    }

    private static ulong Long(CapabilityText text, string name) => (ulong)text.Value($"{name}High") << 32 | text.Value($"{name}Low");
}
