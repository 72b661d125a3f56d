using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>Passes on the events from one trigger to another, and of these what a filter takes: a trigger may be what is not kept.</summary>
/// <param name="next">Where they go to; owned.</param>
/// <param name="start">The event to begin with; null for the first.</param>
/// <param name="stop">The event to end with; null for none.</param>
/// <param name="filter">What is kept, and counts; null for all.</param>
internal sealed class TriggeredEvents(ITraceSink next, TraceTrigger? start, TraceTrigger? stop, TraceFilter? filter) : ITraceSink
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

        // Also before the begin: the trigger may be among what is missing.
        if (record.Kind == TraceEventKind.Lost)
        {
            next.Write(record, payload);
            return;
        }

        bool isKept = filter is null || filter.Takes(record);
        long one = isKept ? 1 : 0;
        _count += one;
        if (!_isStarted)
        {
            if (!start!.IsMetBy(record, _count, record.Time))
                return;
            _isStarted = true;
            (_startTime, _count) = (record.Time, one);
        }

        if (isKept)
            next.Write(record, payload);
        _isStopped = stop is not null && stop.IsMetBy(record, _count, record.Time - Math.Min(record.Time, _startTime));
    }

    /// <inheritdoc/>
    public void Flush() => next.Flush();

    /// <inheritdoc/>
    public void Dispose() => next.Dispose();
}
