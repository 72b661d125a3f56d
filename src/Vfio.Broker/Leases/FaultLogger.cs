using Microsoft.Extensions.Logging;

namespace Vfio.Broker.Leases;

/// <summary>A logger that passes on only errors: faults of this process and of devices.</summary>
/// <param name="to">Where they go.</param>
internal sealed class FaultLogger(ILogger to) : ILogger
{
    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error && to.IsEnabled(logLevel);

    /// <inheritdoc/>
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
            to.Log(logLevel, eventId, state, exception, formatter);
    }
}
