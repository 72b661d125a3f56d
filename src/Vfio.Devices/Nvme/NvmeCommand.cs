using System.Runtime.InteropServices;

namespace Vfio.Devices.Nvme;

/// <summary>A command in the driver's memory: 64 bytes.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 4.2, figure 105.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct NvmeCommand
{
    /// <summary>OPC.</summary>
    public byte Opcode;

    /// <summary>FUSE in bits 1:0, PSDT in bits 7:6; a command is refused unless it is 0.</summary>
    public byte Flags;

    /// <summary>CID.</summary>
    public ushort Id;

    /// <summary>NSID.</summary>
    public uint NamespaceId;

    /// <summary>CDW2 and CDW3.</summary>
    public ulong Reserved;

    /// <summary>MPTR.</summary>
    public ulong Metadata;

    /// <summary>PRP1.</summary>
    public ulong Prp1;

    /// <summary>PRP2.</summary>
    public ulong Prp2;

    /// <summary>CDW10.</summary>
    public uint Dword10;

    /// <summary>CDW11.</summary>
    public uint Dword11;

    /// <summary>CDW12.</summary>
    public uint Dword12;

    /// <summary>CDW13.</summary>
    public uint Dword13;

    /// <summary>CDW14.</summary>
    public uint Dword14;

    /// <summary>CDW15.</summary>
    public uint Dword15;
}
