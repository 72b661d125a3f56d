using System.Runtime.InteropServices;

namespace Vfio.Drivers.Nvme;

/// <summary>A command: one entry of a submission queue, 64 bytes.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 4.2, figure 105.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct NvmeSubmission
{
    /// <summary>What to do: <see cref="NvmeOpcode"/>.</summary>
    public byte Opcode;

    /// <summary>FUSE in bits 1:0, PSDT in bits 7:6; 0 for a command by itself whose data is given by PRPs.</summary>
    public byte Flags;

    /// <summary>CID: comes back in the completion; one command in flight has it.</summary>
    public ushort CommandId;

    /// <summary>NSID: the namespace, from 1; 0 for none.</summary>
    public uint NamespaceId;

    /// <summary>Command dwords 2 and 3.</summary>
    public ulong Reserved;

    /// <summary>MPTR: address of metadata.</summary>
    public ulong Metadata;

    /// <summary>PRP1: address of the data; a multiple of 4.</summary>
    public ulong Prp1;

    /// <summary>PRP2: address of the second page of the data, or of a list of its further pages.</summary>
    public ulong Prp2;

    /// <summary>Command dword 10.</summary>
    public uint Dword10;

    /// <summary>Command dword 11.</summary>
    public uint Dword11;

    /// <summary>Command dword 12.</summary>
    public uint Dword12;

    /// <summary>Command dword 13.</summary>
    public uint Dword13;

    /// <summary>Command dword 14.</summary>
    public uint Dword14;

    /// <summary>Command dword 15.</summary>
    public uint Dword15;
}
