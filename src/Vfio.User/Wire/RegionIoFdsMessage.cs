using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DEVICE_GET_REGION_IO_FDS, and start of its reply: 16 bytes; in the reply sub-regions follow.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DEVICE_GET_REGION_IO_FDS". The size of a sub-region is not fixed: they share the bytes of the
/// reply after this struct evenly.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct RegionIoFdsMessage
{
    /// <summary>Request: largest body of the reply in bytes. Reply: bytes needed with all sub-regions.</summary>
    public uint ArgSize;

    /// <summary>Flags; 0.</summary>
    public uint Flags;

    /// <summary>Region index.</summary>
    public uint Index;

    /// <summary>Request: 0. Reply: how many sub-regions there are; they follow only where they fit.</summary>
    public uint Count;
}

/// <summary>A sub-region whose writes an eventfd replaces: 40 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct SubRegionIoEventFd
{
    /// <summary>VFIO_USER_IO_FD_TYPE_IOEVENTFD in <see cref="Type"/>.</summary>
    public const uint IoEventFd = 0;

    /// <summary>KVM_IOEVENTFD_FLAG_DATAMATCH in <see cref="Flags"/>: only a write of <see cref="DataMatch"/> signals.</summary>
    public const uint HasDataMatch = 1;

    /// <summary>Byte offset into the region.</summary>
    public ulong Offset;

    /// <summary>Width of the writes that signal, in bytes; 0 for any.</summary>
    public ulong Size;

    /// <summary>Which descriptor of the reply is the eventfd.</summary>
    public uint DescriptorIndex;

    /// <summary><see cref="IoEventFd"/>; 1 is an ioregionfd.</summary>
    public uint Type;

    /// <summary>KVM_IOEVENTFD_FLAG_*.</summary>
    public uint Flags;

    /// <summary>Padding.</summary>
    public uint Padding;

    /// <summary>The value that signals, with <see cref="HasDataMatch"/>.</summary>
    public ulong DataMatch;
}
