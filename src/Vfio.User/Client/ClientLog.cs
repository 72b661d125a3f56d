using Microsoft.Extensions.Logging;

namespace Vfio.User.Client;

/// <summary>The log messages of a client: its server was lost, found again or given up.</summary>
internal static partial class ClientLog
{
    [LoggerMessage(20, LogLevel.Warning, "{Server}: the server is gone; waiting for it to come back")]
    internal static partial void Lost(ILogger logger, string server);

    [LoggerMessage(21, LogLevel.Warning, "{Server}: the server is back, and {Mappings} mappings with it; the device was reset")]
    internal static partial void Found(ILogger logger, string server, int mappings);

    [LoggerMessage(22, LogLevel.Error, "{Server}: given up: {Reason}")]
    internal static partial void GivenUp(ILogger logger, string server, string reason);
}
