using Microsoft.Extensions.Logging;
using Vfio.User.Wire;

namespace Vfio.User.Transport;

/// <summary>The log messages of a server: sessions, refusals and handovers; none for a message that is carried out.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Debug, "{Device}: a client opened the device, minor version {Minor}")]
    internal static partial void Opened(ILogger logger, string device, int minor);

    [LoggerMessage(2, LogLevel.Debug, "{Device}: the session ended after {Messages} messages and {Collections} garbage collections: {Reason}")]
    internal static partial void Ended(ILogger logger, string device, long messages, int collections, string reason);

    [LoggerMessage(3, LogLevel.Warning, "A client was refused: {Reason}")]
    internal static partial void ClientRefused(ILogger logger, string reason);

    [LoggerMessage(4, LogLevel.Debug, "{Device}: {Command} refused: {Error}")]
    internal static partial void Refused(ILogger logger, string device, Command command, Errno error);

    [LoggerMessage(5, LogLevel.Error, "{Device}: {Operation} failed in the device")]
    internal static partial void DeviceFailed(ILogger logger, Exception exception, string device, string operation);

    [LoggerMessage(6, LogLevel.Error, "No client can be accepted for now: {Reason}")]
    internal static partial void AcceptFailed(ILogger logger, string reason);

    [LoggerMessage(12, LogLevel.Information, "Clients can be accepted again, after {Failures} that failed")]
    internal static partial void AcceptsAgain(ILogger logger, int failures);

    [LoggerMessage(13, LogLevel.Warning, "{Device}: its client is disconnected for others, who waited for {Seconds} s: it has no memory mapped and no interrupt bound")]
    internal static partial void MakesWay(ILogger logger, string device, double seconds);

    [LoggerMessage(8, LogLevel.Information, "A successor has taken over")]
    internal static partial void HandedOver(ILogger logger);

    [LoggerMessage(9, LogLevel.Information, "{Device}: taken over from a predecessor, after {Messages} messages")]
    internal static partial void TookOver(ILogger logger, string device, long messages);

    [LoggerMessage(10, LogLevel.Warning, "No successor has taken over: {Reason}")]
    internal static partial void NotHandedOver(ILogger logger, string reason);

    [LoggerMessage(11, LogLevel.Warning, "{Device}: its state cannot be handed over to a successor; its client has to connect again")]
    internal static partial void StaysBehind(ILogger logger, string device);

    [LoggerMessage(14, LogLevel.Error, "A session does not end in time: a call of its device has not returned. The process ends without it")]
    internal static partial void DoesNotEnd(ILogger logger);

    [LoggerMessage(7, LogLevel.Error, "A session failed")]
    internal static partial void SessionFailed(ILogger logger, Exception exception);
}
