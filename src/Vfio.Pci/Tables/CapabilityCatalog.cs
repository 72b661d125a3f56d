namespace Vfio.Pci;

/// <summary>Every kind of capability that this library knows.</summary>
/// <remarks>PCI Code and ID Assignment Specification 1.16, chapters 2 and 3.</remarks>
public static class CapabilityCatalog
{
    /// <summary>All tables, standard before extended, by id.</summary>
    public static IReadOnlyList<CapabilityTable> All { get; } =
    [
        SmallTables.Null,
        PowerManagementTable.Table,
        AgpTable.Table,
        VitalProductDataTable.Table,
        SmallTables.SlotIdentification,
        MsiTable.Table,
        SmallTables.HotSwap,
        PciXTable.Table,
        HyperTransportTable.Table,
        VendorSpecificTable.Table,
        SmallTables.DebugPort,
        SmallTables.CentralResource,
        SmallTables.HotPlug,
        SubsystemTable.Table,
        SmallTables.AgpBridge,
        SecureDeviceTable.Table,
        ExpressTable.Table,
        MsiXTable.Table,
        SmallTables.Sata,
        AdvancedFeaturesTable.Table,
        EnhancedAllocationTable.Table,
        FlatteningPortalTable.Table,
        AdvancedErrorReportingTable.Table,
        .. VirtualChannelTable.Tables,
        DeviceSerialNumberTable.Table,
        PowerBudgetingTable.Table,
        ExtendedVendorSpecificTable.Table,
        AccessControlTable.Table,
        AlternativeRoutingTable.Table,
        AddressTranslationTable.Table,
        SrIovTable.Table,
        .. ResizableBarTable.Tables,
        DynamicPowerTable.Table,
        ProcessingHintsTable.Table,
        LatencyToleranceTable.Table,
        ProcessAddressSpaceTable.Table,
    ];

    private static readonly Dictionary<(ushort Id, bool IsExtended), CapabilityTable> ById =
        All.ToDictionary(table => (table.Id, table.IsExtended));

    /// <summary>The table of a kind; null for an id that no specification has assigned.</summary>
    public static CapabilityTable? Find(ushort id, bool isExtended) => ById.GetValueOrDefault((id, isExtended));
}
