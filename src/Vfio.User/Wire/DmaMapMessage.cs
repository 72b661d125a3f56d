using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DMA_MAP: 32 bytes. The reply has no body.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DMA_MAP". With one descriptor the server accesses the memory by itself; without one it
/// sends DMA_READ and DMA_WRITE.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DmaMapMessage
{
    /// <summary>Size of this struct in bytes.</summary>
    public uint ArgSize;

    /// <summary>Bit 0: readable by the device; bit 1: writeable.</summary>
    public DmaAccess Flags;

    /// <summary>Byte offset into the file of the descriptor; 0 without one.</summary>
    public ulong Offset;

    /// <summary>First address of the range.</summary>
    public ulong Address;

    /// <summary>Bytes of the range.</summary>
    public ulong Size;
}
