using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>One opening of a device as a source of events.</summary>
/// <param name="trace">The trace.</param>
/// <param name="session">Its number.</param>
internal sealed class TraceSource(DeviceTrace trace, ushort session)
{
    internal DeviceTrace Trace => trace;

    internal ushort Session => session;

    /// <summary>Records an event without data.</summary>
    internal void Add(
        TraceEventKind kind, uint number = 0, ulong place = 0, ulong value = 0, int length = 0, Errno error = Errno.None)
    {
        TraceRecord record = Make(kind, number, place);
        (record.Value, record.Length, record.Error) = (value, (uint)length, (ushort)error);
        trace.Add(ref record);
    }

    /// <summary>Records an access with its data.</summary>
    internal void AddAccess(TraceEventKind kind, RegionIndex region, ulong offset, ReadOnlySpan<byte> data)
    {
        TraceRecord record = Make(kind, region.Value, offset);
        trace.Add(ref record, data);
    }

    /// <summary>Records a read that took from <paramref name="before"/> until now.</summary>
    internal void AddRead(RegionIndex region, ulong offset, ReadOnlySpan<byte> data, ulong before)
    {
        TraceRecord record = Make(TraceEventKind.Read, region.Value, offset);
        record.Duration = (uint)Math.Min(record.Time - before, uint.MaxValue);
        trace.Add(ref record, data);
    }

    /// <summary>Records what describes the session.</summary>
    internal void AddFact(TraceEventKind kind, uint number, ulong place, ulong value, ReadOnlySpan<byte> data = default)
    {
        TraceRecord record = Make(kind, number, place);
        record.Value = value;
        trace.AddWhole(ref record, data);
    }

    /// <summary>Records that the device refused something.</summary>
    internal void AddRefusal(VfioException refusal, TraceEventKind of, uint number = 0, ulong place = 0, int length = 0) =>
        Add(TraceEventKind.Error, number, place, (ulong)of, length, refusal.Errno);

    private TraceRecord Make(TraceEventKind kind, uint number, ulong place) =>
        new() { Kind = kind, Time = trace.Now, Session = session, Number = number, Place = place };
}
