using Microsoft.Extensions.Logging;

namespace Vfio;

/// <summary>Log entries about devices opened by their address.</summary>
internal static partial class OpenLog
{
    [LoggerMessage(1, LogLevel.Warning, "{Device}: {Difference}")]
    internal static partial void Differs(ILogger logger, string device, string difference);
}
