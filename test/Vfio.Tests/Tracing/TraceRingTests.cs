using Vfio.Tracing;
using Vfio.Tracing.Format;
using Vfio.Tracing.Recording;

namespace Vfio.Tests.Tracing;

/// <summary>What is between the threads of a device and the one that writes.</summary>
public sealed class TraceRingTests
{
    [Fact]
    public void What_was_dropped_is_told_before_the_event_that_came_next()
    {
        TraceRing ring = new(256);
        ListSink sink = new();
        for (ulong i = 0; i < 260; i++)
            Add(ring, i);
        Assert.Equal(256, ring.Take(sink, sink.Lose));
        Add(ring, 1000);
        Add(ring, 1001);
        Assert.False(ring.IsEmpty);
        ring.Take(sink, sink.Lose);
        Assert.True(ring.IsEmpty);
        Assert.Equal(["255", "lost 4 at 1000", "1000", "1001"], sink.Lines[255..]);
    }

    [Fact]
    public void A_sink_that_is_given_ever_more_gets_what_was_there_at_first()
    {
        TraceRing ring = new(256);
        Add(ring, 0);
        ListSink sink = new() { Written = () => Add(ring, 1) };
        Assert.Equal(1, ring.Take(sink, null));
        Assert.Equal(["0"], sink.Lines);
    }

    [Fact]
    public void What_is_missing_passes_a_trigger_and_is_no_event_that_counts()
    {
        ListSink sink = new();
        using TriggeredEvents triggered = new(sink, TraceTrigger.Parse("3"), null, null);
        Write(TraceEventKind.Reset, 1);
        Write(TraceEventKind.Lost, 70);
        Write(TraceEventKind.Reset, 2);
        Write(TraceEventKind.Reset, 3);
        Assert.Equal(["70", "3"], sink.Lines);

        void Write(TraceEventKind kind, ulong value) => triggered.Write(new TraceRecord { Kind = kind, Value = value }, default);
    }

    private static void Add(TraceRing ring, ulong value)
    {
        TraceRecord record = new() { Kind = TraceEventKind.Write, Value = value, Time = value };
        ring.Add(ref record, default);
    }

    private sealed class ListSink : ITraceSink
    {
        internal List<string> Lines { get; } = [];

        internal Action? Written { get; init; }

        public void Write(in TraceRecord record, ReadOnlySpan<byte> payload)
        {
            Lines.Add($"{record.Value}");
            Written?.Invoke();
        }

        public void Flush()
        {
        }

        public void Dispose()
        {
        }

        internal void Lose(long count, ulong time) => Lines.Add($"lost {count} at {time}");
    }
}
