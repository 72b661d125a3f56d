using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Drivers.Nvme;

/// <summary>Identify Namespace: 4096 bytes, of which these are the fields that a driver needs.</summary>
/// <remarks>NVM Express Base Specification 1.4, figure 245. CNS 0x00.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 4096)]
internal struct NvmeIdentifyNamespace
{
    /// <summary>NSZE: size in logical blocks.</summary>
    [FieldOffset(0)]
    public ulong SizeBlocks;

    /// <summary>NCAP: how many of them may be allocated at a time.</summary>
    [FieldOffset(8)]
    public ulong CapacityBlocks;

    /// <summary>NUSE: how many of them are allocated.</summary>
    [FieldOffset(16)]
    public ulong UsedBlocks;

    /// <summary>NSFEAT: features.</summary>
    [FieldOffset(24)]
    public byte Features;

    /// <summary>NLBAF: number of formats less one.</summary>
    [FieldOffset(25)]
    public byte LastFormat;

    /// <summary>FLBAS: the format in use; bits 3:0 of its number, bits 6:5 its upper bits.</summary>
    [FieldOffset(26)]
    public byte Format;

    /// <summary>DPS: bits 2:0 are not 0 when blocks carry protection information.</summary>
    [FieldOffset(29)]
    public byte Protection;

    /// <summary>LBAF0 to LBAF63: metadata bytes in bits 15:0, block size as a power of two in bits 23:16.</summary>
    [FieldOffset(128)]
    public NvmeFormats Formats;
}

/// <summary>The formats that a namespace can have.</summary>
[InlineArray(64)]
internal struct NvmeFormats
{
    private uint _first;
}
