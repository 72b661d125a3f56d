using Vfio.Tracing;
using Vfio.Tracing.Format;
using Vfio.Web.Events;

namespace Vfio.Tests.Web;

/// <summary>The events of <c>vfio web</c> in bounded memory, and what is asked of them.</summary>
public sealed class EventStoreTests
{
    [Fact]
    public void The_last_events_are_kept_and_memory_is_bounded()
    {
        TraceView trace = new(keep: 10_000, RegisterNames.None);
        for (int i = 0; i < 100_000; i++)
            Add(trace, Read((ulong)i, 0x10, (ulong)i));
        EventSpan events = trace.Store.Events;
        Assert.Equal(100_000, events.End);
        Assert.InRange(events.End - events.First, 10_000, 20_000);
        Assert.Equal(99_999u, events[99_999].Value);
        Assert.Equal((ulong)events.First, events[events.First].Value);
        Assert.Throws<ArgumentOutOfRangeException>(() => events[events.First - 1].Value);
        Assert.Equal(95_000, events.FindTime(95_000));
        Assert.Equal(events.End, events.FindTime(ulong.MaxValue));
    }

    [Fact]
    public async Task Readers_see_whole_events_while_others_come()
    {
        TraceView trace = new(keep: 8192, RegisterNames.None);
        Task adding = Task.Run(() =>
        {
            for (int i = 0; i < 500_000; i++)
                Add(trace, Read((ulong)i, (ulong)i, (ulong)i));
        }, TestContext.Current.CancellationToken);
        while (!adding.IsCompleted)
        {
            EventSpan events = trace.Store.Events;
            for (long i = Math.Max(events.First, events.End - 100); i < events.End; i++)
                Assert.Equal(((ulong)i, (ulong)i), (events[i].Value, events[i].Place));
        }

        await adding;
    }

    [Theory]
    [InlineData("", new[] { 0L, 1, 2, 3, 4 })]
    [InlineData("read", new[] { 0L, 2 })]
    [InlineData("write bar0", new[] { 1L })]
    [InlineData("-read -write", new[] { 3L })]
    [InlineData("-bar0", new[] { 3L, 4 })]
    [InlineData("=0x2a", new[] { 1L })]
    [InlineData("=42 read", new long[0])]
    [InlineData("s2", new[] { 2L })]
    [InlineData("0x0014", new[] { 0L, 1 })]
    [InlineData("MSI", new[] { 3L })]
    [InlineData("dma-write 0x1000", new[] { 4L })]
    [InlineData("s99999999999999999999", new long[0])]
    [InlineData("= - -- =0xq", new long[0])]
    public void A_filter_keeps_events_that_have_all_its_words(string filter, long[] kept)
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        Add(trace, Read(1, 0x14, 7));
        Add(trace, Read(2, 0x14, 42) with { Kind = TraceEventKind.Write });
        Add(trace, Read(3, 0x18, 7) with { Session = 2 });
        Add(trace, new TraceRecord { Kind = TraceEventKind.Interrupt, Time = 4, Number = 1, Session = 1 });
        Add(trace, new TraceRecord { Kind = TraceEventKind.DmaWrite, Time = 5, Place = 0x1000, Length = 4, Value = 42, Session = 1 });
        Assert.Equal(kept, trace.Find(filter).With(trace.Store.Events, matches => Enumerable.Range(0, matches.Count).Select(i => matches[i]).ToArray()));
    }

    [Fact]
    public void A_filter_finds_what_came_since_and_forgets_what_is_gone()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        for (int i = 0; i < 50_000; i++)
        {
            Add(trace, Read((ulong)i, (ulong)(i % 2), 0));
            if (i % 9973 != 0)
                continue;
            EventSpan events = trace.Store.Events;
            (int count, long first) = trace.Find("bar0 0x0000").With(events, matches => (matches.Count, matches[0]));
            Assert.InRange(first, events.First, events.First + 1);
            Assert.InRange(count, (events.End - events.First) / 2, ((events.End - events.First) / 2) + 1);
        }
    }

    [Fact]
    public void Events_are_counted_by_time_and_lane()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        for (int i = 0; i < 100; i++)
            Add(trace, Read((ulong)(i * 10), 0x10, 0));
        Add(trace, new TraceRecord { Kind = TraceEventKind.Interrupt, Time = 999, Number = 1, Place = 3 });
        EventSpan events = trace.Store.Events;
        Timeline line = trace.Find("").With(events, matches => Timeline.OfAll(events, matches, null, null, 10));
        Assert.Equal((0u, 1000u), (line.Start, line.End));
        Assert.Equal(["bar0", "irq"], line.Lanes.Select(lane => lane.Name));
        Assert.Equal([10, 10, 10, 10, 10, 10, 10, 10, 10, 10], line.Lanes.First().Counts);
        Timeline zoomed = trace.Find("").With(events, matches => Timeline.OfAll(events, matches, 500, 600, 4));
        Assert.Equal(10, zoomed.Lanes.Single().Counts.Sum());
        Timeline interrupts = trace.Find("").With(events, matches => Timeline.OfInterrupts(events, matches, null, null, 10));
        Assert.Equal("MSI 3", interrupts.Lanes.Single().Name);
        Assert.Equal(1, interrupts.Lanes.Single().Counts[9]);
    }

    [Fact]
    public void Memory_is_followed_from_mapping_to_unmapping()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        Add(trace, Map(0x1000, 0x1000));
        Add(trace, Map(0x8000, 0x2000));
        Add(trace, new TraceRecord { Kind = TraceEventKind.DmaRead, Place = 0x9fff, Length = 1, Session = 1 });
        Add(trace, new TraceRecord { Kind = TraceEventKind.DmaRead, Place = 0xa000, Length = 1, Session = 1 });
        Add(trace, new TraceRecord { Kind = TraceEventKind.DmaWrite, Place = 0x1000, Length = 64, Session = 1 });
        Add(trace, Map(0x20000, 0x1000));
        Add(trace, new TraceRecord { Kind = TraceEventKind.Error, Place = 0x20000, Value = (ulong)TraceEventKind.Map, Error = (ushort)Errno.NoMemory, Session = 1 });
        Add(trace, new TraceRecord { Kind = TraceEventKind.Unmap, Place = 0x1000, Value = 0x1000, Session = 1, Time = 9 });
        (List<DmaUse> mapped, List<DmaUse> ended, List<DmaRefusal> refused) = trace.Dma.Take();
        DmaUse left = Assert.Single(mapped);
        Assert.Equal((0x8000u, 1, 1), (left.Start, left.Reads, left.ReadBytes));
        DmaUse gone = Assert.Single(ended);
        Assert.Equal((0x1000u, 64, 9u), (gone.Start, gone.WrittenBytes, gone.Unmapped));
        Assert.Equal(0x20000u, Assert.Single(refused).Place);
    }

    [Fact]
    public void A_trace_of_anything_is_kept_in_bounded_memory()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        Random random = new(1);
        for (int i = 0; i < 50_000; i++)
        {
            Add(trace, new TraceRecord
            {
                Kind = (TraceEventKind)random.Next(30),
                Time = (ulong)random.NextInt64(),
                Session = (ushort)random.Next(1000),
                Number = (uint)random.Next(-3, 12),
                Place = (ulong)random.NextInt64(-100, 1 << 20),
                Value = (ulong)random.NextInt64(-100, 1 << 20),
                Length = (uint)random.Next(-3, 100),
                Error = (ushort)random.Next(0, 3),
            });
        }

        EventSpan events = trace.Store.Events;
        foreach (string filter in new[] { "", "a", "=1", "-read" })
        {
            trace.Find(filter).With(events, matches =>
                Timeline.OfAll(events, matches, null, null, 100).Lanes.Count() + Timeline.OfInterrupts(events, matches, 5, 3, 100).Lanes.Count());
        }

        (List<DmaUse> mapped, List<DmaUse> ended, List<DmaRefusal> refused) = trace.Dma.Take();
        Assert.InRange(mapped.Count, 0, DmaSpace.MostMapped);
        Assert.InRange(ended.Count, 0, 256);
        Assert.InRange(refused.Count, 0, 256);
        Assert.InRange(trace.Sessions.Sessions.Count, 0, SessionBook.Most);
        Assert.InRange(trace.Registers.Take().Count, 0, RegisterUses.Most);
    }

    [Fact]
    public void A_mark_is_at_each_vector_that_was_asked_for_and_lanes_are_bounded()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        Add(trace, SetInterrupts(place: 2, count: 3));
        Add(trace, new TraceRecord { Kind = TraceEventKind.Interrupt, Number = 1, Place = 3 });
        Assert.Equal(["MSI 2", "MSI 3", "MSI 4"], Interrupts(trace).Lanes.Select(lane => lane.Name));
        Assert.Equal([1, 1, 1], Interrupts(trace).Lanes.Select(lane => lane.Marks.Count));
        Assert.Equal([0, 1, 0], Interrupts(trace).Lanes.Select(lane => lane.Counts.Sum()));

        // 78 of 80 lanes; then the last two; then none, and marks only at those that are there: 2 to 4 and 10 to 86.
        Add(trace, SetInterrupts(place: 10, count: 75));
        Add(trace, SetInterrupts(place: 85, count: 80));
        Add(trace, SetInterrupts(place: 0, count: 11));
        Add(trace, SetInterrupts(place: ulong.MaxValue - 1, count: 80));
        TimelineLane[] lanes = [.. Interrupts(trace).Lanes];
        Assert.Equal(80, lanes.Length);
        Assert.Equal(["MSI 2", "MSI 3", "MSI 4", "MSI 10", "MSI 11"], lanes.Take(5).Select(lane => lane.Name));
        Assert.Equal([2, 2, 2, 2, 1], lanes.Take(5).Select(lane => lane.Marks.Count));
    }

    [Fact]
    public void A_trace_that_asks_for_many_vectors_again_and_again_makes_little_text()
    {
        TraceView trace = new(keep: 100_000, RegisterNames.None);
        for (int i = 0; i < 100_000; i++)
            Add(trace, SetInterrupts(place: 0x1_0000u * (ulong)i, count: 80));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(80, Interrupts(trace).Lanes.Count());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Theory]
    [InlineData("")]
    [InlineData("read")]
    public void Nobody_who_waits_no_longer_has_all_events_walked_over(string filter)
    {
        TraceView trace = new(keep: 100_000, RegisterNames.None);
        for (int i = 0; i < 100_000; i++)
            Add(trace, Read((ulong)i, 0x14, 7));
        EventSpan events = trace.Store.Events;
        CancellationToken gone = new(canceled: true);
        Assert.Throws<OperationCanceledException>(() => trace.Find(filter).With(events, matches => Timeline.OfAll(events, matches, null, null, 10, gone), gone));
        Assert.Equal(100_000, trace.Find(filter).With(events, matches => matches.Count));
    }

    [Fact]
    public void An_unmap_ends_what_starts_within_it_and_nothing_else()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        foreach (ulong start in new ulong[] { 0, 0x1000, 0x2000, 0x3000, 0xffff_ffff_ffff_f000 })
            Add(trace, Map(start, 0x1000));
        Unmap(0x1000, 0);
        Assert.Equal([0u, 0x1000u, 0x2000u, 0x3000u, 0xffff_ffff_ffff_f000u], Mapped());
        Unmap(0x1000, 0x2000);
        Assert.Equal([0u, 0x3000u, 0xffff_ffff_ffff_f000u], Mapped());
        Unmap(0xffff_ffff_ffff_f000, ulong.MaxValue);
        Assert.Equal([0u, 0x3000u], Mapped());
        Add(trace, new TraceRecord { Kind = TraceEventKind.UnmapAll, Session = 1 });
        Assert.Empty(Mapped());

        void Unmap(ulong start, ulong length) => Add(trace, new TraceRecord { Kind = TraceEventKind.Unmap, Place = start, Value = length, Session = 1 });
        IEnumerable<ulong> Mapped() => trace.Dma.Take().Mapped.Select(use => use.Start);
    }

    [Fact]
    public void A_config_space_of_any_size_is_kept_as_far_as_there_is_one()
    {
        TraceView trace = new(keep: 4096, RegisterNames.None);
        trace.Store.Write(new TraceRecord { Kind = TraceEventKind.Open, Session = 1, Length = 1 }, "x"u8);
        trace.Store.Write(new TraceRecord { Kind = TraceEventKind.ConfigSpace, Session = 1, Length = 1 << 20 }, new byte[1 << 20]);
        Assert.Equal(4096, Assert.Single(trace.Sessions.Sessions).Config.Length);
    }

    private static Timeline Interrupts(TraceView trace)
    {
        EventSpan events = trace.Store.Events;
        return trace.Find("").With(events, matches => Timeline.OfInterrupts(events, matches, null, null, 10));
    }

    // VFIO_PCI_MSI_IRQ_INDEX is 1.
    private static TraceRecord SetInterrupts(ulong place, uint count) =>
        new() { Kind = TraceEventKind.SetInterrupts, Number = 1, Place = place, Length = count, Session = 1 };

    private static TraceRecord Read(ulong time, ulong offset, ulong value) =>
        new() { Kind = TraceEventKind.Read, Time = time, Place = offset, Value = value, Length = 4, Session = 1 };

    private static TraceRecord Map(ulong start, ulong length) =>
        new() { Kind = TraceEventKind.Map, Place = start, Value = length, Number = 3, Session = 1 };

    private static void Add(TraceView trace, in TraceRecord record) => trace.Store.Write(record, default);
}
