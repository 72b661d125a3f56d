using Vfio.Pci.Capabilities.Extended;
using Vfio.Pci.Capabilities.Standard;

namespace Vfio.Pci.Capabilities;

/// <summary>Every kind of capability that this library knows.</summary>
/// <remarks>PCI Code and ID Assignment Specification 1.16, steps 2 and 3.</remarks>
internal static class CapabilityCatalog
{
    /// <summary>All tables, standard before extended.</summary>
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
        SmallExtendedTables.Null,
        AdvancedErrorReportingTable.Table,
        .. VirtualChannelTable.Tables,
        DeviceSerialNumberTable.Table,
        PowerBudgetingTable.Table,
        RootComplexTables.LinkDeclaration,
        RootComplexTables.InternalLink,
        RootComplexTables.EventCollector,
        RootComplexTables.RegisterBlock,
        ExtendedVendorSpecificTable.Table,
        SmallExtendedTables.AccessCorrelation,
        AccessControlTable.Table,
        AlternativeRoutingTable.Table,
        AddressTranslationTable.Table,
        SrIovTable.Table,
        MulticastTable.Table,
        PageRequestTable.Table,
        .. ResizableBarTable.Tables,
        DynamicPowerTable.Table,
        ProcessingHintsTable.Table,
        LatencyToleranceTable.Table,
        PhysicalLayerTables.Secondary,
        SmallExtendedTables.ProtocolMultiplexing,
        ProcessAddressSpaceTable.Table,
        SmallExtendedTables.LightweightNotification,
        PortContainmentTable.Table,
        LinkPowerTable.Table,
        TimeMeasurementTable.Table,
        ReadinessTables.Queue,
        ReadinessTables.Times,
        DesignatedVendorTable.Table,
        SmallExtendedTables.DataLinkFeature,
        PhysicalLayerTables.Speed16,
        LaneMarginingTable.Table,
        SmallExtendedTables.HierarchyId,
        SmallExtendedTables.EnclosureManagement,
        PhysicalLayerTables.Speed32,
        SmallExtendedTables.AlternateProtocol,
        SmallExtendedTables.FirmwareIntermediary,
        SmallExtendedTables.ShadowFunctions,
        DataObjectExchangeTable.Table,
        DeviceThreeTable.Table,
        EncryptionTable.Table,
        PhysicalLayerTables.Speed64,
        FlitTables.Logging,
        FlitTables.Performance,
        FlitTables.ErrorInjection,
        StreamlinedChannelTable.Table,
        RegisterBlockLocatorTable.Table,
        FlitTables.NopFlit,
        .. SmallExtendedTables.Opaque,
    ];

    private static readonly Dictionary<(ushort Id, bool IsExtended), CapabilityTable> ById =
        All.ToDictionary(table => (table.Id, table.IsExtended));

    /// <summary>The table of a kind; null for an id that no specification has assigned.</summary>
    public static CapabilityTable? Find(ushort id, bool isExtended) => ById.GetValueOrDefault((id, isExtended));
}
