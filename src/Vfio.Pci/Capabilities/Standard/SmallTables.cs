using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Standard capabilities of a register or two: PCI Local Bus 3.0, appendix H, and the specifications it names.</summary>
internal static class SmallTables
{
    internal static readonly CapabilityTable Null = new(0x00, false, "Null", _ => new(4, []));

    /// <summary>PCI-to-PCI Bridge 1.2, section 13.2.</summary>
    internal static readonly CapabilityTable SlotIdentification = Make(0x04, "Slot ID", new(4,
    [
        new Register(0x02, 1, "Slots") { { "Count", 4, 0, Fixed, FieldText.Decimal }, { "First", 5, Fixed } },
        new Register(0x03, 1, "Chassis") { { "Number", 7, 0, Fixed, number => $"{number:x2}" } },
    ]), text => text.SetTitle("Chassis", "Slot ID: {Slots:Count} slots, {Slots:First}, chassis {Number}"));

    /// <summary>CompactPCI Hot Swap, PICMG 2.1, section 3.1.2.</summary>
    internal static readonly CapabilityTable HotSwap = Make(0x06, "CompactPCI hot-swap", new(4,
    [
        new Register(0x02, 1, "HSCtl")
        {
            { "DHA", 0, Fixed },
            { "EIM", 1, Fixed },
            { "PIE", 2, Fixed },
            { "LOO", 3, Fixed },
            { "PI", 5, 4, Fixed, FieldText.Decimal },
            { "EXT", 6, FixedStatus },
            { "INS", 7, FixedStatus },
        },
    ]));

    /// <summary>EHCI 1.0, appendix C.</summary>
    internal static readonly CapabilityTable DebugPort = Make(0x0a, "Debug port", new(4,
    [
        new Register(0x02, 2, "Port") { { "offset", 12, 0, Fixed, offset => $"{offset:x4}" }, { "BAR", 15, 13, Fixed, FieldText.Decimal } },
    ]), text => text.SetTitle("Port", "Debug port: BAR={BAR} offset={offset}"));

    /// <summary>CompactPCI, PICMG 2.13; it has no registers of its own in config space.</summary>
    internal static readonly CapabilityTable CentralResource = Make(0x0b, "CompactPCI central resource control", new(4, []));

    /// <summary>PCI Standard Hot-Plug Controller 1.0, section 4.9.</summary>
    internal static readonly CapabilityTable HotPlug = Make(0x0c, "Hot-plug capable", new(8,
    [
        new Register(0x02, 1, "Select") { { "Dword", 7, 0, Fixed } },
        new Register(0x03, 1, "Pending") { { "Interrupt", 6, Fixed }, { "Controller", 7, Fixed } },
        new Register(0x04, 4, "Data") { { "Data", 31, 0, Fixed } },
    ]));

    /// <summary>AGP 3.0, for a PCI-to-PCI bridge that is an AGP target: its header alone.</summary>
    internal static readonly CapabilityTable AgpBridge = Make(0x0e, "AGP3", new(4,
    [
        new Register(0x02, 1, "Version") { { "Minor", 3, 0, Fixed, FieldText.Decimal }, { "Major", 7, 4, Fixed, FieldText.Decimal } },
    ]));

    /// <summary>Serial ATA AHCI 1.3.1, section 2.4: index and data are in a BAR, or here.</summary>
    internal static readonly CapabilityTable Sata = new(0x12, false, "SATA HBA", SataLayout) { Describe = DescribeSata };

    private static CapabilityTable Make(ushort id, string name, CapabilityLayout layout, Action<CapabilityText>? describe = null) =>
        new(id, false, name, _ => layout) { Describe = describe };

    private static CapabilityLayout SataLayout(CapabilityView view)
    {
        Register[] start =
        [
            new Register(0x02, 2, "Revision") { { "Minor", 3, 0, Fixed, FieldText.Decimal }, { "Major", 7, 4, Fixed, FieldText.Decimal } },
            new Register(0x04, 4, "Place") { { "BAR", 3, 0, Fixed }, { "Offset", 23, 4, Fixed, offset => $"{offset:x8}" } },
        ];
        const uint Here = 15;
        return view.Read(4, 4).Get(3, 0) != Here
            ? new(8, start)
            : new(16,
            [
                .. start,
                new Register(0x08, 4, "Index") { { "Index", 31, 0, Fixed } },
                new Register(0x0c, 4, "Data") { { "Data", 31, 0, Fixed } },
            ]);
    }

    private static void DescribeSata(CapabilityText text)
    {
        text.SetTitle("Revision", "SATA HBA v{Major}.{Minor}");
        if (!text.Has("Place"))
            return;
        uint bar = text.Get("Place", "BAR");
        text.Title += bar switch
        {
            >= 4 and <= 9 => text.Fill("Place", $" BAR{bar - 4} Offset={{Offset}}"),
            15 => " InCfgSpace",
            _ => $" BAR??{bar}",
        };
    }
}
