using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A capture in memory.</summary>
internal sealed class CaptureStream
{
    private readonly MemoryStream _stream = new();

    internal CaptureStream(VfioUserCaptureOptions? options = null) => Capture = new VfioUserCapture(_stream, options);

    internal VfioUserCapture Capture { get; }

    /// <summary>Ends the capture and returns its file.</summary>
    internal byte[] End()
    {
        Capture.Dispose();
        Assert.True(Capture.Ended.Wait(HangGuard.Timeout), "the capture does not end");
        Assert.Null(Capture.Failure);
        return _stream.ToArray();
    }
}
