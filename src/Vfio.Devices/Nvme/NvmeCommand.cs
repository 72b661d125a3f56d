using System.Runtime.InteropServices;

namespace Vfio.Devices.Nvme;

/// <summary>A command in the driver's memory: 64 bytes.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 3.3.3.1.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct NvmeCommand
{
    /// <summary>OPC.</summary>
    public byte Opcode;

    /// <summary>FUSE in bits 1:0, PSDT in bits 7:6.</summary>
    public byte Flags;

    /// <summary>CID.</summary>
    public ushort Id;

    /// <summary>NSID.</summary>
    public uint NamespaceId;

    /// <summary>CDW2 and CDW3.</summary>
    public ulong Reserved;

    /// <summary>MPTR.</summary>
    public ulong Metadata;

    /// <summary>PRP1; with an SGL its address.</summary>
    public ulong Prp1;

    /// <summary>PRP2; with an SGL its length in bits 31:0, and its type in bits 63:60.</summary>
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

    /// <summary>FUSE: 1 for the first of two fused commands, 2 for the second.</summary>
    public readonly int Fuse => Flags & 3;

    /// <summary>PSDT: 0 for PRPs, 1 for an SGL.</summary>
    public readonly int Pointer => Flags >> 6;

    /// <summary>SLBA of an I/O command: its first block.</summary>
    public readonly ulong Block => Dword10 | (ulong)Dword11 << 32;

    /// <summary>NLB of an I/O command, plus one: how many blocks.</summary>
    public readonly ulong Blocks => (Dword12 & 0xffff) + 1;
}
