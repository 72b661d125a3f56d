namespace Vfio.Kernel;

/// <summary>VFIO_DEVICE_FEATURE_*: numbers of features, with what to do with them.</summary>
internal static class DeviceFeature
{
    private const uint Set = 1 << 17;

    internal const uint SetLowPowerEntry = Set | 3, SetLowPowerEntryWithWakeup = Set | 4, SetLowPowerExit = Set | 5;
}
