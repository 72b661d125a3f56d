using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DMA_UNMAP: 24 bytes; the reply repeats it.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DMA_UNMAP". Address and size are those of one earlier DMA_MAP.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DmaUnmapMessage
{
    /// <summary>Largest body of the reply, in bytes.</summary>
    public uint ArgSize;

    /// <summary>The specification has none; these are the kernel's.</summary>
    public DmaUnmapFlags Flags;

    /// <summary>First address of the range.</summary>
    public ulong Address;

    /// <summary>Bytes of the range.</summary>
    public ulong Size;
}

/// <summary>VFIO_DMA_UNMAP_FLAG_* of <c>linux/vfio.h</c>, as QEMU sends them.</summary>
[Flags]
internal enum DmaUnmapFlags : uint
{
    /// <summary>One range.</summary>
    None = 0,

    /// <summary>Return which pages the device wrote.</summary>
    GetDirtyBitmap = 1,

    /// <summary>All ranges; address and size are 0.</summary>
    All = 2,
}
