using Microsoft.Extensions.Logging;
using Vfio.User;

namespace Vfio;

/// <summary>The capture that an address asks for (<c>?capture=FILE</c>). Its early end, and what is missing, goes to a logger.</summary>
internal sealed class AddressCapture : IDisposable
{
    // A logger that takes nothing does not keep the device from its end.
    private static readonly TimeSpan ReportTime = TimeSpan.FromSeconds(1);
    private readonly string _path;
    private readonly ILogger _logger;
    private readonly Task _reporting;

    private AddressCapture(VfioUserCapture capture, string path, ILogger logger)
    {
        (Capture, _path, _logger) = (capture, path, logger);
        _reporting = ReportAsync();
    }

    /// <summary>The capture.</summary>
    internal VfioUserCapture Capture { get; }

    /// <summary>Begins it.</summary>
    /// <returns>Null when the address asks for none.</returns>
    /// <exception cref="VfioException">The file cannot be made.</exception>
    internal static AddressCapture? Of(DeviceAddress address, ILogger logger) => address.Capture is not { } path
        ? null
        : new AddressCapture(VfioUserCapture.ToFile(path, new VfioUserCaptureOptions { Name = $"unix:{address.Place}" }), path, logger);

    /// <summary>Ends it; the logger has what there is to say then.</summary>
    public void Dispose()
    {
        Capture.Dispose();
        if (Capture.Ended.IsCompleted)
            Task.WaitAny([_reporting], ReportTime);
        else
            OpenLog.CaptureUnfinished(_logger, _path, Capture.Dropped, Capture.Messages);
    }

    private async Task ReportAsync()
    {
        await Capture.Ended.ConfigureAwait(false);
        if (Capture.Failure is { } failure)
            OpenLog.CaptureEnded(_logger, _path, failure.Message);
        else if (Capture.Dropped > 0)
            OpenLog.CaptureLost(_logger, _path, Capture.Dropped, Capture.Messages);
    }
}
