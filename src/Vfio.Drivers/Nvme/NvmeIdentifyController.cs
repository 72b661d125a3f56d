using System.Runtime.InteropServices;

namespace Vfio.Drivers.Nvme;

/// <summary>Identify Controller: 4096 bytes, of which these are the fields that a driver needs.</summary>
/// <remarks>NVM Express Base Specification 1.4, figure 247. CNS 0x01.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 4096)]
internal struct NvmeIdentifyController
{
    /// <summary>VID: PCI vendor id.</summary>
    [FieldOffset(0)]
    public ushort VendorId;

    /// <summary>SN: serial number.</summary>
    [FieldOffset(4)]
    public NvmeText20 SerialNumber;

    /// <summary>MN: model number.</summary>
    [FieldOffset(24)]
    public NvmeText40 ModelNumber;

    /// <summary>FR: firmware revision.</summary>
    [FieldOffset(64)]
    public NvmeText8 FirmwareRevision;

    /// <summary>MDTS: the largest transfer of a command is 2 to this power of the smallest memory page; 0 for no limit.</summary>
    [FieldOffset(77)]
    public byte MaxTransferShift;

    /// <summary>CNTLID: which controller of its subsystem.</summary>
    [FieldOffset(78)]
    public ushort ControllerId;

    /// <summary>VER: as the version register; 0 before 1.2.</summary>
    [FieldOffset(80)]
    public uint Version;

    /// <summary>OACS: optional admin commands; bit 8 for Doorbell Buffer Config.</summary>
    [FieldOffset(256)]
    public ushort OptionalAdminCommands;

    /// <summary>LPA: log pages; bit 2 for more than 16 KiB and for offsets.</summary>
    [FieldOffset(261)]
    public byte LogPageAttributes;

    /// <summary>SQES: entry size of submission queues as a power of two; required in bits 3:0, largest in bits 7:4.</summary>
    [FieldOffset(512)]
    public byte SubmissionEntrySizes;

    /// <summary>CQES: entry size of completion queues, as <see cref="SubmissionEntrySizes"/>.</summary>
    [FieldOffset(513)]
    public byte CompletionEntrySizes;

    /// <summary>NN: how many namespace ids there may be.</summary>
    [FieldOffset(516)]
    public uint NamespaceCount;

    /// <summary>ONCS: optional commands.</summary>
    [FieldOffset(520)]
    public ushort OptionalCommands;

    /// <summary>VWC: bit 0 for a volatile write cache.</summary>
    [FieldOffset(525)]
    public byte VolatileWriteCache;
}
