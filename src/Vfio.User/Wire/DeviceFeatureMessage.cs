using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DEVICE_FEATURE and of its reply: 8 bytes, then data that depends on the feature.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DEVICE_FEATURE"; <c>struct vfio_device_feature</c>. The reply to a set or a probe repeats
/// the request; the reply to a get has the feature's data.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct DeviceFeatureMessage
{
    /// <summary>Request: largest body of the reply in bytes. Reply: bytes of the body.</summary>
    public uint ArgSize;

    /// <summary>The feature and the operation.</summary>
    public DeviceFeatureFlags Flags;

    /// <summary>Which feature: bits 15:0 of <see cref="Flags"/>.</summary>
    public readonly DeviceFeature Feature => (DeviceFeature)(Flags & DeviceFeatureFlags.FeatureMask);
}

/// <summary>VFIO_DEVICE_FEATURE_GET, SET and PROBE of <c>linux/vfio.h</c>; get and set go together only with probe.</summary>
[Flags]
internal enum DeviceFeatureFlags : uint
{
    /// <summary>No flag; never valid.</summary>
    None = 0,

    /// <summary>The bits of the feature's number.</summary>
    FeatureMask = 0xffff,

    /// <summary>Get the feature's data.</summary>
    Get = 1 << 16,

    /// <summary>Set the feature's data.</summary>
    Set = 1 << 17,

    /// <summary>Say whether the feature is there, and can be got and set where those are named too.</summary>
    Probe = 1 << 18,
}

/// <summary>The features that vfio-user has; VFIO_DEVICE_FEATURE_* of <c>linux/vfio.h</c>.</summary>
internal enum DeviceFeature : ushort
{
    /// <summary>Get: the migration features; <see cref="MigrationFeatures"/>, 8 bytes.</summary>
    Migration = 1,

    /// <summary>Get and set: the migration state; <see cref="MigrationStateMessage"/>.</summary>
    MigrationDeviceState = 2,

    /// <summary>Set: start to record writes; <see cref="DmaLoggingControl"/>.</summary>
    DmaLoggingStart = 6,

    /// <summary>Set: stop to record writes.</summary>
    DmaLoggingStop = 7,

    /// <summary>Get: what was written; <see cref="DmaLoggingReport"/>.</summary>
    DmaLoggingReport = 8,
}
