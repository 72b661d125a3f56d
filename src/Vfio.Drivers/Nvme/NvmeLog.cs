using Microsoft.Extensions.Logging;

namespace Vfio.Drivers.Nvme;

/// <summary>The log messages of an NVMe controller.</summary>
internal static partial class NvmeLog
{
    [LoggerMessage(40, LogLevel.Debug, "{Device}: started: {Model}, firmware {Firmware}, up to {Pairs} queue pairs")]
    internal static partial void Started(ILogger logger, string device, string model, string firmware, int pairs);

    [LoggerMessage(41, LogLevel.Warning, "{Device}: namespace {Id} is not ready: {Status}")]
    internal static partial void NotReady(ILogger logger, string device, uint id, NvmeStatus status);

    [LoggerMessage(42, LogLevel.Error, "{Device}: all commands of namespace {Id} fail from now on: {Reason}")]
    internal static partial void Failed(ILogger logger, string device, uint id, string reason);
}
