using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>Keeps the last events in memory, and passes them on at the end; what describes a session is passed on at once.</summary>
/// <param name="next">Where they go to; owned.</param>
/// <param name="count">How many.</param>
internal sealed class LastEvents(ITraceSink next, int count) : ITraceSink
{
    private const int MostDataBytes = 256 << 20;
    private readonly Queue<(TraceRecord Record, byte[] Payload)> _events = [];
    private long _dataBytes;

    /// <inheritdoc/>
    public bool IsDone => next.IsDone;

    /// <inheritdoc/>
    public void Write(in TraceRecord record, ReadOnlySpan<byte> payload)
    {
        if (record.Kind is >= TraceEventKind.Open and <= TraceEventKind.AddressRange)
        {
            next.Write(record, payload);
            return;
        }

        _events.Enqueue((record, payload.ToArray()));
        _dataBytes += payload.Length;
        while (_events.Count > count || _dataBytes > MostDataBytes)
            _dataBytes -= _events.Dequeue().Payload.Length;
    }

    /// <inheritdoc/>
    public void Flush()
    {
        // They are last ones only at the end.
    }

    /// <summary>Passes on what is kept by now.</summary>
    internal void PassOn()
    {
        while (_events.TryDequeue(out (TraceRecord Record, byte[] Payload) kept))
            next.Write(kept.Record, kept.Payload);
        next.Flush();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            PassOn();
        }
        finally
        {
            next.Dispose();
        }
    }
}
