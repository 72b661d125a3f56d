using Microsoft.Extensions.Logging;

namespace Vfio.Tests;

/// <summary>Keeps what is logged, from a level on; any thread may log.</summary>
internal sealed class RecordingLogger(LogLevel from = LogLevel.Debug) : ILogger
{
    private readonly List<(LogLevel Level, string Text)> _entries = [];

    /// <summary>What was logged by now, in order.</summary>
    internal (LogLevel Level, string Text)[] Entries
    {
        get
        {
            lock (_entries)
                return [.. _entries];
        }
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel level) => level >= from;

    public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> format)
    {
        if (!IsEnabled(level))
            return;
        lock (_entries)
            _entries.Add((level, format(state, exception)));
    }
}
