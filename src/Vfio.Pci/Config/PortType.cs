namespace Vfio.Pci.Config;

/// <summary>What a PCI Express function is to its link: Device/Port Type of the PCI Express Capabilities register.</summary>
/// <remarks>PCI Express Base 6.0, section 7.5.3.2.</remarks>
internal enum PortType
{
    /// <summary>The function has no PCI Express capability.</summary>
    None = -1,

    /// <summary>PCI Express endpoint.</summary>
    Endpoint = 0,

    /// <summary>Endpoint that may use I/O space and locked transactions.</summary>
    LegacyEndpoint = 1,

    /// <summary>Root port of a root complex.</summary>
    RootPort = 4,

    /// <summary>Upstream port of a switch.</summary>
    UpstreamPort = 5,

    /// <summary>Downstream port of a switch.</summary>
    DownstreamPort = 6,

    /// <summary>Bridge from PCI Express to PCI or PCI-X.</summary>
    ExpressToPciBridge = 7,

    /// <summary>Bridge from PCI or PCI-X to PCI Express.</summary>
    PciToExpressBridge = 8,

    /// <summary>Endpoint inside the root complex, with no link.</summary>
    IntegratedEndpoint = 9,

    /// <summary>Root complex event collector, with no link.</summary>
    EventCollector = 10,
}
