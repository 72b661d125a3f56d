using Microsoft.Extensions.Logging;

namespace Vfio;

/// <summary>Log entries about devices opened by their address.</summary>
internal static partial class OpenLog
{
    [LoggerMessage(1, LogLevel.Warning, "{Device}: {Difference}")]
    internal static partial void Differs(ILogger logger, string device, string difference);

    [LoggerMessage(2, LogLevel.Error, "The capture {Path} ends early, and the device goes on: {Reason}")]
    internal static partial void CaptureEnded(ILogger logger, string path, string reason);

    [LoggerMessage(3, LogLevel.Warning, "{Dropped} of {Messages} messages are missing in the capture {Path}: they came faster than they could be written")]
    internal static partial void CaptureLost(ILogger logger, string path, long dropped, long messages);

    [LoggerMessage(4, LogLevel.Error, "The capture {Path} was not finished: the file takes nothing; it lacks the last messages, and {Dropped} of {Messages} before")]
    internal static partial void CaptureUnfinished(ILogger logger, string path, long dropped, long messages);

    /// <summary>Whether an entry is about a capture.</summary>
    internal static bool IsOfCapture(EventId entry) => entry.Name is nameof(CaptureEnded) or nameof(CaptureLost) or nameof(CaptureUnfinished);
}
