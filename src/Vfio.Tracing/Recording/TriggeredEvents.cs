using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>Passes on the events from one trigger to another.</summary>
/// <param name="next">Where they go to; owned.</param>
/// <param name="start">The event to begin with; null for the first.</param>
/// <param name="stop">The event to end with; null for none.</param>
internal sealed class TriggeredEvents(ITraceSink next, TraceTrigger? start, TraceTrigger? stop) : ITraceSink
{
    private bool _isStarted = start is null;
    private bool _isStopped;
    private ulong _startTime;
    private long _count;

    /// <inheritdoc/>
    public bool IsDone => _isStopped || next.IsDone;

    /// <inheritdoc/>
    public void Write(in TraceRecord record, ReadOnlySpan<byte> payload)
    {
        if (record.Kind is >= TraceEventKind.Open and <= TraceEventKind.AddressRange)
        {
            next.Write(record, payload);
            return;
        }

        if (_isStopped)
            return;
        _count++;
        if (!_isStarted)
        {
            if (!start!.IsMetBy(record, _count, record.Time))
                return;
            _isStarted = true;
            (_startTime, _count) = (record.Time, 1);
        }

        next.Write(record, payload);
        _isStopped = stop is not null && stop.IsMetBy(record, _count, record.Time - Math.Min(record.Time, _startTime));
    }

    /// <inheritdoc/>
    public void Flush() => next.Flush();

    /// <inheritdoc/>
    public void Dispose() => next.Dispose();
}
