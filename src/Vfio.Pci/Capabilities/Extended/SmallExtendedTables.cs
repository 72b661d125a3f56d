using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Extended capabilities of a few registers, none of them a user's to change: they are the machine's, the link's, or obsolete.
/// </summary>
internal static class SmallExtendedTables
{
    private static readonly string[] EnclosureStates =
    [
        "Reset", "OK", "Locate", "Fail", "Rebuild", "PFA", "HotSpare", "InCriticalArray", "InFailedArray", "InvalidType", "Disabled",
    ];

    /// <summary>PCI Express Base 6.0, section 7.9.28.</summary>
    internal static readonly CapabilityTable Null = new(0x00, true, "Null", _ => new(4, []));

    /// <summary>Configuration Access Correlation, of the Trusted Configuration Space ECN; withdrawn.</summary>
    internal static readonly CapabilityTable AccessCorrelation = Make(0x0c, "Configuration Access Correlation", 8,
        new Register(0x04, 4, "Correlation") { { "Value", 31, 0, Fixed } });

    /// <summary>LN Requester: PCI Express Base 5.0, section 7.9.14.</summary>
    internal static readonly CapabilityTable LightweightNotification = Make(0x1c, "LN Requester", 8,
        new Register(0x04, 2, "LNRCap") { { "64B", 0, Fixed }, { "128B", 1, Fixed }, { "RegistrationMax", 12, 8, Fixed, FieldText.Decimal } },
        new Register(0x06, 2, "LNRCtl")
        {
            { "Enable", 0, Fixed },
            { "CLS", 1, Fixed },
            { "RegistrationLimit", 12, 8, Fixed, FieldText.Decimal },
        });

    /// <summary>Data Link Feature: PCI Express Base 6.0, section 7.7.4.</summary>
    internal static readonly CapabilityTable DataLinkFeature = Make(0x25, "Data Link Feature", 0x0c,
        new Register(0x04, 4, "DLFCap")
        {
            { "ScaledFC", 0, Fixed },
            { "ImmediateReadiness", 1, Fixed },
            { "ExtVCCount", 4, 2, Fixed, FieldText.Decimal },
            { "L0pExitLatency", 7, 5, Fixed },
            { "ExchangeEn", 31, Fixed },
        },
        new Register(0x08, 4, "DLFSta")
        {
            { "ScaledFC", 0, Fixed },
            { "ImmediateReadiness", 1, Fixed },
            { "ExtVCCount", 4, 2, Fixed, FieldText.Decimal },
            { "L0pExitLatency", 7, 5, Fixed },
            { "Valid", 31, Fixed },
        });

    /// <summary>Hierarchy ID: PCI Express Base 6.0, section 7.9.17.</summary>
    internal static readonly CapabilityTable HierarchyId = Make(0x28, "Hierarchy ID", 0x20,
        Whole(0x04, "HierSta"),
        Whole(0x08, "HierData"),
        Whole(0x0c, "GUID1"),
        Whole(0x10, "GUID2"),
        Whole(0x14, "GUID3"),
        Whole(0x18, "GUID4"),
        Whole(0x1c, "GUID5"));

    /// <summary>Native PCIe Enclosure Management: PCI Express Base 6.0, section 7.9.19.</summary>
    internal static readonly CapabilityTable EnclosureManagement = Make(0x29, "Native PCIe Enclosure Management", 0x10,
        Enclosure(0x04, "NPEMCap", "Capable"),
        Enclosure(0x08, "NPEMCtl", "Enable"),
        new Register(0x0c, 4, "NPEMSta") { { "CmdCplt", 0, FixedStatus }, { "EnclSpecific", 31, 24, Fixed } });

    /// <summary>System Firmware Intermediary: PCI Express Base 6.0, section 7.9.22.</summary>
    internal static readonly CapabilityTable FirmwareIntermediary = Make(0x2c, "System Firmware Intermediary", 0x14,
        new Register(0x04, 2, "SFICap") { { "OOBPD", 0, Fixed } },
        new Register(0x06, 2, "SFICtl") { { "PDStateMask", 0, Fixed }, { "DLLStateMask", 1, Fixed }, { "More", 15, 2, Fixed } },
        new Register(0x08, 2, "SFISta") { { "Value", 15, 0, FixedStatus } },
        Whole(0x0c, "CAMAddress"),
        Whole(0x10, "CAMData"));

    /// <summary>Shadow Functions: PCI Express Base 6.0, section 7.9.25.</summary>
    internal static readonly CapabilityTable ShadowFunctions = Make(0x2d, "Shadow Functions", 0x1c,
        Whole(0x04, "ShadowCap"),
        Whole(0x08, "ShadowCtl"),
        Whole(0x0c, "Instance0"),
        Whole(0x10, "Instance1"),
        Whole(0x14, "Instance2"),
        Whole(0x18, "Instance3"));

    /// <summary>Protocol Multiplexing: PCI Express Base 5.0, appendix G. An entry for each protocol.</summary>
    internal static readonly CapabilityTable ProtocolMultiplexing = new(0x1a, true, "Protocol Multiplexing", view =>
    {
        int protocols = (int)view.Read(4, 4).Get(5, 0);
        return new(0x10 + (4 * protocols),
        [
            new Register(0x04, 4, "PMUXCap") { { "Protocols", 5, 0, Fixed, FieldText.Decimal }, { "Speeds", 15, 8, Fixed } },
            Whole(0x08, "PMUXCtl"),
            new Register(0x0c, 4, "PMUXSta") { { "Value", 31, 0, FixedStatus } },
            .. Enumerable.Range(0, protocols).Select(index => Whole(0x10 + (4 * index), $"Protocol{index + 1}")),
        ]);
    });

    /// <summary>Alternate Protocol: PCI Express Base 6.0, section 7.9.20. A mask of protocols if they can be enabled one by one.</summary>
    internal static readonly CapabilityTable AlternateProtocol = new(0x2b, true, "Alternate Protocol", view =>
    {
        bool isSelective = view.Read(4, 4).Get(8);
        return new(isSelective ? 0x18 : 0x14,
        [
            new Register(0x04, 4, "AltCap") { { "Count", 7, 0, Fixed, FieldText.Decimal }, { "SelectiveEnable", 8, Fixed } },
            new Register(0x08, 4, "AltCtl") { { "Index", 7, 0, Fixed, FieldText.Decimal }, { "GlobalEnable", 8, Fixed } },
            new Register(0x0c, 4, "AltData1")
            {
                { "Usage", 2, 0, Fixed },
                { "Details", 15, 5, Fixed },
                { "Vendor", 31, 16, Fixed, id => $"{id:x4}" },
            },
            new Register(0x10, 4, "AltData2") { { "Information", 23, 0, Fixed } },
            .. isSelective ? [Whole(0x14, "AltMask")] : Array.Empty<Register>(),
        ]);
    });

    /// <summary>Kinds with an assigned id whose registers the base specification does not describe: their bytes are shown.</summary>
    internal static readonly CapabilityTable[] Opaque =
    [
        new(0x11, true, "Multi-Root I/O Virtualization", _ => CapabilityLayout.Unknown),
        new(0x14, true, "Reserved for AMD", _ => CapabilityLayout.Unknown),
        new(0x20, true, "PCI Express over M_PHY", _ => CapabilityLayout.Unknown),
        new(0x38, true, "Scalable I/O Virtualization", _ => CapabilityLayout.Unknown),
        new(0x39, true, "Physical Layer 128.0 GT/s", _ => CapabilityLayout.Unknown),
        new(0x3a, true, "Captured Data", _ => CapabilityLayout.Unknown),
    ];

    private static CapabilityTable Make(ushort id, string name, int length, params Register[] registers)
    {
        CapabilityLayout layout = new(length, registers);
        return new(id, true, name, _ => layout);
    }

    private static Register Whole(int offset, string name) => new(offset, 4, name) { { "Value", 31, 0, Fixed } };

    private static Register Enclosure(int offset, string name, string first)
    {
        Register register = new(offset, 4, name) { { first, 0, Fixed } };
        for (int state = 0; state < EnclosureStates.Length; state++)
            register.Add(EnclosureStates[state], 1 + state, Fixed);
        register.Add("EnclSpecific", 31, 24, Fixed);
        return register;
    }
}
