namespace Vfio.Pci.Capabilities.Standard;

/// <summary>What a HyperTransport capability is: its Capability Type.</summary>
internal enum HyperTransportKind
{
    Primary,
    Secondary,
    Switch,
    InterruptDiscovery,
    RevisionId,
    UnitIdClumping,
    ExtendedConfig,
    AddressMapping,
    MessageMapping,
    DirectRoute,
    VirtualChannelSet,
    RetryMode,
    X86,
    Unknown,
}
