using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Data of the feature <see cref="DeviceFeature.DmaLoggingStart"/>: 16 bytes, then <see cref="RangeCount"/> ranges.</summary>
/// <remarks>vfio-user, section "VFIO_DEVICE_FEATURE_DMA_LOGGING_START". Unlike in the kernel the ranges are part of the message.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DmaLoggingControl
{
    /// <summary>Request: bytes of a page, as a hint. Reply: bytes of a page that the device chose.</summary>
    public ulong PageSize;

    /// <summary>How many ranges follow; 0 for all addresses.</summary>
    public uint RangeCount;

    /// <summary>Reserved; 0.</summary>
    public uint Reserved;
}

/// <summary>A range of addresses to watch: 16 bytes; <c>struct vfio_device_feature_dma_logging_range</c>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DmaLoggingRange
{
    /// <summary>First address.</summary>
    public ulong Address;

    /// <summary>Bytes of the range.</summary>
    public ulong Length;
}
