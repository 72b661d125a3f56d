using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>What every capability of a region starts with: 8 bytes; <c>struct vfio_info_cap_header</c>.</summary>
/// <remarks>vfio-user, section "VFIO cap header format".</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct CapabilityHeader
{
    /// <summary>VFIO_REGION_INFO_CAP_SPARSE_MMAP: only parts of the region can be mapped.</summary>
    public const ushort SparseMmap = 1;

    /// <summary>Which capability.</summary>
    public ushort Id;

    /// <summary>Its version; 1 for <see cref="SparseMmap"/>.</summary>
    public ushort Version;

    /// <summary>Byte offset of the next one from the start of the region info; 0 ends the list.</summary>
    public uint Next;
}
