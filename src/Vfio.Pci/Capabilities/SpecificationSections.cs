namespace Vfio.Pci.Capabilities;

/// <summary>Where each structure of config space is specified: document, version and section, to look it up.</summary>
internal static class SpecificationSections
{
    /// <summary>Of the header.</summary>
    internal const string Header = "PCI Express Base 6.0, section 7.5.1";

    private static readonly Dictionary<ushort, string> Standard = new()
    {
        [0x01] = "PCI Bus Power Management Interface 1.2, section 3.2",
        [0x02] = "AGP 3.0, section 6",
        [0x03] = "PCI Express Base 6.0, section 7.9.18",
        [0x04] = "PCI-to-PCI Bridge 1.2, section 13.2",
        [0x05] = "PCI Express Base 6.0, section 7.7.1",
        [0x06] = "CompactPCI Hot Swap, PICMG 2.1, section 3.1.2",
        [0x07] = "PCI-X Protocol Addendum 2.0a, section 7.2",
        [0x08] = "HyperTransport I/O Link 3.10, chapter 7",
        [0x09] = "PCI Local Bus 3.0, appendix H",
        [0x0a] = "EHCI 1.0, appendix C",
        [0x0b] = "CompactPCI, PICMG 2.13",
        [0x0c] = "PCI Standard Hot-Plug Controller 1.0, section 4.9",
        [0x0d] = "PCI-to-PCI Bridge 1.2, section 13.4",
        [0x0e] = "AGP 3.0",
        [0x0f] = "AMD I/O Virtualization Technology 3.0, section 3.2",
        [0x10] = "PCI Express Base 6.0, section 7.5.3",
        [0x11] = "PCI Express Base 6.0, section 7.7.2",
        [0x12] = "Serial ATA AHCI 1.3.1, section 2.4",
        [0x13] = "PCI ECN Conventional Advanced Capabilities",
        [0x14] = "PCI Express Base 6.0, section 7.8.5",
        [0x15] = "PCI Express Base 6.0, section 7.8.11",
    };

    private static readonly Dictionary<ushort, string> Extended = new()
    {
        [0x00] = "PCI Express Base 6.0, section 7.9.28",
        [0x01] = "PCI Express Base 6.0, section 7.8.4",
        [0x02] = "PCI Express Base 6.0, section 7.9.1",
        [0x03] = "PCI Express Base 6.0, section 7.9.3",
        [0x04] = "PCI Express Base 6.0, section 7.8.1",
        [0x05] = "PCI Express Base 6.0, section 7.9.8",
        [0x06] = "PCI Express Base 6.0, section 7.9.9",
        [0x07] = "PCI Express Base 6.0, section 7.9.10",
        [0x08] = "PCI Express Base 6.0, section 7.9.2",
        [0x09] = "PCI Express Base 6.0, section 7.9.1",
        [0x0a] = "PCI Express Base 6.0, section 7.9.7",
        [0x0b] = "PCI Express Base 6.0, section 7.9.5",
        [0x0c] = "PCI ECN Trusted Configuration Space, withdrawn",
        [0x0d] = "PCI Express Base 6.0, section 7.7.11",
        [0x0e] = "PCI Express Base 6.0, section 7.8.8",
        [0x0f] = "PCI Express Base 6.0, section 10.5.1",
        [0x10] = "PCI Express Base 6.0, section 9.3.3",
        [0x12] = "PCI Express Base 6.0, section 7.9.11",
        [0x13] = "PCI Express Base 6.0, section 10.5.2",
        [0x15] = "PCI Express Base 6.0, section 7.8.6",
        [0x16] = "PCI Express Base 6.0, section 7.9.12",
        [0x17] = "PCI Express Base 6.0, section 7.9.13",
        [0x18] = "PCI Express Base 6.0, section 7.8.2",
        [0x19] = "PCI Express Base 6.0, section 7.7.3",
        [0x1a] = "PCI Express Base 5.0, appendix G",
        [0x1b] = "PCI Express Base 6.0, section 7.8.9",
        [0x1c] = "PCI Express Base 5.0, section 7.9.14",
        [0x1d] = "PCI Express Base 6.0, section 7.9.14",
        [0x1e] = "PCI Express Base 6.0, section 7.8.3",
        [0x1f] = "PCI Express Base 6.0, section 7.9.15",
        [0x21] = "PCI Express Base 6.0, section 7.8.10",
        [0x22] = "PCI Express Base 6.0, section 7.9.16",
        [0x23] = "PCI Express Base 6.0, section 7.9.6",
        [0x24] = "PCI Express Base 6.0, section 7.8.7",
        [0x25] = "PCI Express Base 6.0, section 7.7.4",
        [0x26] = "PCI Express Base 6.0, section 7.7.5",
        [0x27] = "PCI Express Base 6.0, section 7.7.10",
        [0x28] = "PCI Express Base 6.0, section 7.9.17",
        [0x29] = "PCI Express Base 6.0, section 7.9.19",
        [0x2a] = "PCI Express Base 6.0, section 7.7.6",
        [0x2b] = "PCI Express Base 6.0, section 7.9.20",
        [0x2c] = "PCI Express Base 6.0, section 7.9.22",
        [0x2d] = "PCI Express Base 6.0, section 7.9.25",
        [0x2e] = "PCI Express Base 6.0, section 7.9.24",
        [0x2f] = "PCI Express Base 6.0, section 7.7.9",
        [0x30] = "PCI Express Base 6.0, section 7.9.26",
        [0x31] = "PCI Express Base 6.0, section 7.7.7",
        [0x32] = "PCI Express Base 6.0, section 7.7.8",
        [0x33] = "PCI Express Base 6.0, section 7.8.12",
        [0x34] = "PCI Express Base 6.0, section 7.8.13",
        [0x35] = "PCI Express Base 6.2, section 7.9.29",
        [0x36] = "PCI Express Base 6.2, section 7.9.30",
        [0x37] = "PCI Express Base 6.0, section 7.8.14",
    };

    /// <summary>Where a kind of capability is specified; null where this library does not know it.</summary>
    internal static string? Find(ushort id, bool isExtended) => (isExtended ? Extended : Standard).GetValueOrDefault(id);
}
