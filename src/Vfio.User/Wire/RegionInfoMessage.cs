using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DEVICE_GET_REGION_INFO and of its reply: 32 bytes; capabilities may follow in the reply.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DEVICE_GET_REGION_INFO"; <c>struct vfio_region_info</c>.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct RegionInfoMessage
{
    /// <summary>VFIO_REGION_INFO_FLAG_CAPS in <see cref="Flags"/>: capabilities follow at <see cref="CapabilityOffset"/>.</summary>
    public const uint HasCapabilities = 8;

    /// <summary>Request: largest body of the reply in bytes. Reply: bytes needed with all capabilities.</summary>
    public uint ArgSize;

    /// <summary>Bits 0 to 2: those of <see cref="RegionFlags"/>; bit 3: <see cref="HasCapabilities"/>.</summary>
    public uint Flags;

    /// <summary>Region index.</summary>
    public uint Index;

    /// <summary>Byte offset of the first capability from the start of this struct; 0 when there is none.</summary>
    public uint CapabilityOffset;

    /// <summary>Bytes of the region.</summary>
    public ulong Size;

    /// <summary>Byte offset for mmap into the descriptor that comes with the reply.</summary>
    public ulong Offset;
}
