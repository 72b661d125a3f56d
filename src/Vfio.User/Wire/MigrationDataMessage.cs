using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of MIG_DATA_READ, of its reply, and of MIG_DATA_WRITE: 8 bytes; data follows in the last two.</summary>
/// <remarks>vfio-user, sections "VFIO_USER_MIG_DATA_READ" and "VFIO_USER_MIG_DATA_WRITE". The reply to a write has no body.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct MigrationDataMessage
{
    /// <summary>To read: largest body of the reply in bytes. Else bytes of this body, data included.</summary>
    public uint ArgSize;

    /// <summary>Data bytes; in the reply fewer than requested when there are no more.</summary>
    public uint Size;
}
