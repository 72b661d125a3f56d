namespace Vfio.Kernel.Device;

/// <summary>VFIO_DEVICE_FEATURE_*: numbers of features, with get, set or probe.</summary>
internal static class DeviceFeatureCalls
{
    private const uint Get = 1 << 16, Set = 1 << 17;

    internal const uint GetMigration = Get | 1, GetMigrationState = Get | 2, GetMigrationDataSize = Get | 9;
    internal const uint SetDmaLoggingStart = Set | 6, SetDmaLoggingStop = Set | 7, GetDmaLoggingReport = Get | 8;
    internal const uint SetLowPowerEntry = Set | 3, SetLowPowerEntryWithWakeup = Set | 4, SetLowPowerExit = Set | 5;
}
