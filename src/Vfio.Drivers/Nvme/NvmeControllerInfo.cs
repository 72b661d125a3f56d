namespace Vfio.Drivers.Nvme;

/// <summary>What a controller says of itself.</summary>
/// <remarks>NVM Express Base Specification 1.4, figure 247. Text is printable ASCII.</remarks>
public sealed record NvmeControllerInfo
{
    internal NvmeControllerInfo(in NvmeIdentifyController fields, NvmeVersion version)
    {
        VendorId = fields.VendorId;
        SerialNumber = NvmeText.Read(fields.SerialNumber);
        ModelNumber = NvmeText.Read(fields.ModelNumber);
        FirmwareRevision = NvmeText.Read(fields.FirmwareRevision);
        ControllerId = fields.ControllerId;
        Version = version;
        NamespaceCount = fields.NamespaceCount;
        HasExtendedLogs = (fields.LogPageAttributes & 4) != 0;
        HasVolatileWriteCache = (fields.VolatileWriteCache & 1) != 0;

        // Larger shifts than this are beyond what one page list describes anyway.
        const int LargestShift = 9;
        int shift = fields.MaxTransferShift;
        MaxTransferBytes = shift is 0 or > LargestShift ? NvmePrpLists.MaxTransferBytes : NvmeRegisters.PageBytes << shift;
    }

    /// <summary>PCI vendor id.</summary>
    public int VendorId { get; }

    /// <summary>Serial number.</summary>
    public string SerialNumber { get; }

    /// <summary>Model number.</summary>
    public string ModelNumber { get; }

    /// <summary>Firmware revision.</summary>
    public string FirmwareRevision { get; }

    /// <summary>Which controller of its subsystem.</summary>
    public int ControllerId { get; }

    /// <summary>The specification that it follows.</summary>
    internal NvmeVersion Version { get; }

    /// <summary>The largest namespace id there may be.</summary>
    public uint NamespaceCount { get; }

    /// <summary>Whether log pages can be read from any offset, and by more than 16 KiB at a time.</summary>
    public bool HasExtendedLogs { get; }

    /// <summary>Whether written data may be lost with the power until it is flushed.</summary>
    public bool HasVolatileWriteCache { get; }

    /// <summary>The most that one command moves: what the controller allows, and at most 2 MiB.</summary>
    public int MaxTransferBytes { get; }
}
