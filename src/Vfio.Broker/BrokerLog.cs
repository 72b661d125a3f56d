using Microsoft.Extensions.Logging;

namespace Vfio.Broker;

/// <summary>The log messages of a broker: what it does itself. What it does for users is in the audit.</summary>
internal static partial class BrokerLog
{
    [LoggerMessage(1, LogLevel.Error, "Lease {Lease} of {Device} failed")]
    internal static partial void LeaseFailed(ILogger logger, Exception exception, int lease, string device);

    [LoggerMessage(2, LogLevel.Error, "The broker failed at a request")]
    internal static partial void RequestFailed(ILogger logger, Exception exception);

    [LoggerMessage(3, LogLevel.Information, "The policy was read again: {Devices} devices, {Rules} rules")]
    internal static partial void PolicyRead(ILogger logger, int devices, int rules);

    [LoggerMessage(4, LogLevel.Error, "The policy stays as it was: {Reason}")]
    internal static partial void PolicyRefused(ILogger logger, string reason);

    [LoggerMessage(6, LogLevel.Error, "The audit stays in the file where it was: {Reason}")]
    internal static partial void AuditStays(ILogger logger, string reason);

    [LoggerMessage(7, LogLevel.Error, "Lease {Lease} of {Device} has ended, and the process that has it open cannot be killed: run the broker as root, or with CAP_KILL")]
    internal static partial void UserStays(ILogger logger, int lease, string device);

    [LoggerMessage(8, LogLevel.Warning, "Lease {Lease} of {Device} has ended, and a process still has it open")]
    internal static partial void StillOpen(ILogger logger, int lease, string device);

    [LoggerMessage(9, LogLevel.Information, "All leases are another broker's now")]
    internal static partial void HandedOver(ILogger logger);

    [LoggerMessage(10, LogLevel.Warning, "Nothing more is handed over: {Reason}")]
    internal static partial void NotHandedOver(ILogger logger, string reason);

    [LoggerMessage(11, LogLevel.Warning, "There are no metrics: {Reason}")]
    internal static partial void NoMetrics(ILogger logger, string reason);

    [LoggerMessage(5, LogLevel.Error, "{Leases} leases do not end in time: calls of their devices have not returned. The process ends without them")]
    internal static partial void DoesNotEnd(ILogger logger, int leases);
}
