using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Data of the feature <see cref="DeviceFeature.DmaLoggingReport"/>: 24 bytes; in the reply the bitmap follows.</summary>
/// <remarks>vfio-user, section "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT"; for the bitmap see <see cref="IDirtyTracker"/>.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DmaLoggingReport
{
    /// <summary>First address.</summary>
    public ulong Address;

    /// <summary>Bytes of the range.</summary>
    public ulong Length;

    /// <summary>Bytes that a bit stands for: a power of two.</summary>
    public ulong PageSize;
}
