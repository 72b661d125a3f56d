using Microsoft.Extensions.Logging;
using Vfio.Cli.Output;
using Vfio.Native.Errors;

namespace Vfio.Cli;

/// <summary>Says on standard error what is wrong with a capture of an address; no other entry is.</summary>
internal sealed class CaptureLines : ILogger
{
    private const int MaxLineLength = 4000;

    private CaptureLines()
    {
    }

    /// <summary>The only one.</summary>
    internal static CaptureLines Instance { get; } = new();

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!OpenLog.IsOfCapture(eventId))
            return;
        StatusLine.Show(null);
        StandardStreams.Errors.WriteLine($"vfio: {PrintableText.Of(formatter(state, exception), MaxLineLength)}");
    }
}
