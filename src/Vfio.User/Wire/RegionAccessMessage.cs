using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of REGION_READ and REGION_WRITE and of their replies: 16 bytes, then <see cref="Count"/> data bytes
/// in the reply to a read and in the request of a write.</summary>
/// <remarks>vfio-user, sections "VFIO_USER_REGION_READ" and "VFIO_USER_REGION_WRITE".</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct RegionAccessMessage
{
    /// <summary>Byte offset into the region.</summary>
    public ulong Offset;

    /// <summary>Region index; BAR0 is 0.</summary>
    public uint Region;

    /// <summary>Data bytes, at most the receiver's <c>max_data_xfer_size</c>.</summary>
    public uint Count;
}
