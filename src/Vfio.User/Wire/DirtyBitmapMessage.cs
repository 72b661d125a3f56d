using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>What follows <see cref="DmaUnmapMessage"/> with <see cref="DmaUnmapFlags.GetDirtyBitmap"/>: 16 bytes; in the reply the bitmap
/// follows.</summary>
/// <remarks><c>struct vfio_bitmap</c> with the bitmap in place of its address, as libvfio-user has it; the specification has
/// none.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DirtyBitmapMessage
{
    /// <summary>Bytes that a bit stands for: a power of two.</summary>
    public ulong PageSize;

    /// <summary>Bytes of the bitmap; see <see cref="DirtyBitmap.LengthOf"/>.</summary>
    public ulong Size;
}
