using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Data of the feature <see cref="DeviceFeature.MigrationDeviceState"/>: 8 bytes.</summary>
/// <remarks>vfio-user, section "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE"; <c>struct vfio_device_feature_mig_state</c>.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct MigrationStateMessage
{
    /// <summary>The state, or the one to go to; a <see cref="MigrationState"/>.</summary>
    public uint DeviceState;

    /// <summary>A descriptor in the kernel, unused here; -1 in what this library sends.</summary>
    public int DataDescriptor;
}
