using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DEVICE_GET_INFO and of its reply: 16 bytes.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DEVICE_GET_INFO". In the request all fields but the first are 0.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DeviceInfoMessage
{
    /// <summary>Request: largest body of the reply in bytes. Reply: bytes needed.</summary>
    public uint ArgSize;

    /// <summary>Bit 0: has a reset; bit 1: is a PCI function.</summary>
    public DeviceFlags Flags;

    /// <summary>How many region indexes.</summary>
    public uint RegionCount;

    /// <summary>How many interrupt indexes.</summary>
    public uint InterruptCount;
}
