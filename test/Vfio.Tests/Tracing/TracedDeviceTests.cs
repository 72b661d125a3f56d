using System.Buffers.Binary;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Tests.Driver;
using Vfio.Tracing;
using static Vfio.Tests.Tracing.Bar0;

namespace Vfio.Tests.Tracing;

/// <summary>What happens to a traced device is in its trace, in order, and the device is as without it.</summary>
public sealed class TracedDeviceTests : IDisposable
{
    // QEMU's docs/specs/edu.rst.
    private const ulong Identification = 0x00, Liveness = 0x04, Raise = 0x60;
    private readonly GuardedFunction _edu = new(new EduFunction());

    public void Dispose() => _edu.Dispose();

    [Fact]
    public void A_session_begins_with_what_the_device_is()
    {
        using TraceRig rig = new();
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
            Assert.Equal("model:edu", device.Name);
        TraceEvent[] events = rig.Events();
        Assert.Equal(TraceEventKind.Open, events[0].Kind);
        Assert.Equal("model:edu"u8.ToArray(), events[0].Data.ToArray());
        Assert.Equal(0x100000u, events.Single(one => one.Kind == TraceEventKind.Region && one.Region == RegionIndex.Bar0).Value);
        Assert.Equal(1u, events.Single(one => one.Kind == TraceEventKind.InterruptKind && one.Interrupt == InterruptIndex.Msi).Value);
        byte[] config = events.Single(one => one.Kind == TraceEventKind.ConfigSpace).Data.ToArray();
        Assert.Equal(0x1234, BinaryPrimitives.ReadUInt16LittleEndian(config));
        Assert.Equal(0x11e8, BinaryPrimitives.ReadUInt16LittleEndian(config.AsSpan(2)));
        Assert.Equal(TraceEventKind.Close, events[^1].Kind);
        Assert.All(events, one => Assert.Equal(1, one.Session));
    }

    [Fact]
    public void Accesses_have_region_offset_width_value_and_time()
    {
        using TraceRig rig = new();
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
        {
            device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
            Write(device, Liveness, 0x12345678);
            Assert.Equal(~0x12345678u, Read(device, Liveness));
        }

        TraceEvent[] events = rig.Happened();
        Assert.Equal(
            [(TraceEventKind.Write, 7u, 4ul, 2u, 6ul), (TraceEventKind.Write, 0u, Liveness, 4u, 0x12345678ul), (TraceEventKind.Read, 0u, Liveness, 4u, 0xedcba987ul)],
            events[..3].Select(one => (one.Kind, one.Number, one.Place, one.Length, one.Value)));
        Assert.Equal(events.Select(one => one.Nanoseconds).Order(), events.Select(one => one.Nanoseconds));
        Assert.NotEqual(0u, events[2].DurationNanoseconds);
    }

    [Fact]
    public void What_the_device_refuses_is_in_the_trace_and_reaches_the_user()
    {
        using TraceRig rig = new();
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
        {
            byte[] bytes = new byte[4];
            Assert.Throws<VfioException>(() => device.ReadRegion(RegionIndex.Bar0, 0x100000, bytes));
            Assert.Throws<VfioException>(() => device.WriteRegion(RegionIndex.Bar0, 0x100000, bytes));
            Assert.Throws<VfioException>(() => device.UnmapDma(new Iova(0x10000), 0x1000));
        }

        TraceEvent[] events = rig.Happened();
        Assert.Equal(
            [TraceEventKind.Read, TraceEventKind.Write, TraceEventKind.Error, TraceEventKind.Unmap, TraceEventKind.Error, TraceEventKind.Close],
            events.Select(one => one.Kind));
        Assert.Equal([Errno.InvalidArgument, Errno.None, Errno.InvalidArgument, Errno.None, Errno.NoEntry, Errno.None], events.Select(one => one.Error));
        Assert.Equal((ulong)TraceEventKind.Unmap, events[4].Value);
    }

    [Fact]
    public void Interrupts_are_seen_bound_masked_and_delivered()
    {
        using TraceRig rig = new();
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
        using (EventFd signal = EventFd.Create())
        {
            device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
            device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [signal.Descriptor]));
            Write(device, Raise, 1);
            Assert.True(signal.Wait(HangGuard.Timeout));
            device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Msi));
        }

        TraceEvent[] events = [.. rig.Happened().Where(one => one.Kind != TraceEventKind.Write)];
        Assert.Equal(
            [TraceEventKind.SetInterrupts, TraceEventKind.Interrupt, TraceEventKind.SetInterrupts, TraceEventKind.Close], events.Select(one => one.Kind));
        Assert.All(events[..3], one => Assert.Equal(InterruptIndex.Msi, one.Interrupt));
        Assert.Equal((1u, (byte)1), (events[0].Length, events[0].Data.Span[0]));
        Assert.Equal(0u, events[2].Length);
    }

    [Fact]
    public void Memory_that_the_device_reads_and_writes_is_seen_with_its_bytes()
    {
        byte[] bytes = [.. Enumerable.Range(1, 100).Select(i => (byte)i)];
        using TraceRig rig = new(new TraceOptions { SeesDma = true, MaxDataBytes = 4096 });
        ulong start;
        using (EduDriver edu = new(new TracedDevice(_edu.Open(), rig.Trace)))
        using (DmaBuffer memory = edu.Device.AllocateDma(4096))
        {
            start = memory.Start.Value;
            memory.Write(0, bytes);
            edu.CopyToDevice(memory, 0, bytes.Length);
            edu.CopyFromDevice(memory, 200, bytes.Length);
            byte[] back = new byte[bytes.Length];
            memory.Read(200, back);
            Assert.Equal(bytes, back);
        }

        TraceEvent[] events = rig.Happened();
        TraceEvent read = Assert.Single(events, one => one.Kind == TraceEventKind.DmaRead);
        TraceEvent written = Assert.Single(events, one => one.Kind == TraceEventKind.DmaWrite);
        Assert.Equal((start, 100u), (read.Place, read.Length));
        Assert.Equal((start + 200, 100u), (written.Place, written.Length));
        Assert.Equal(bytes, read.Data.ToArray());
        Assert.Equal(bytes, written.Data.ToArray());
        Assert.Contains(events, one => one.Kind == TraceEventKind.Map && one.Place <= start && start - one.Place < one.Value);
    }

    [Fact]
    public void Redacted_memory_leaves_no_byte_behind_and_equal_data_has_equal_hashes()
    {
        byte[] secret = [.. "the user's password is in here"u8];
        using TraceRig rig = new(new TraceOptions { SeesDma = true, RedactsDma = true, MaxDataBytes = 4096 });
        using (EduDriver edu = new(new TracedDevice(_edu.Open(), rig.Trace)))
        using (DmaBuffer memory = edu.Device.AllocateDma(4096))
        {
            memory.Write(0, secret);
            edu.CopyToDevice(memory, 0, secret.Length);
            edu.CopyFromDevice(memory, 200, secret.Length);
            edu.CopyFromDevice(memory, 400, 8);
        }

        byte[] trace = rig.End();
        Assert.Equal(-1, trace.AsSpan().IndexOf(secret.AsSpan(0, 8)));
        TraceEvent[] moved = [.. TraceRig.Read(trace).Where(one => one.Kind is TraceEventKind.DmaRead or TraceEventKind.DmaWrite)];
        Assert.All(moved, one => Assert.True(one.IsRedacted));
        Assert.Equal([(uint)secret.Length, (uint)secret.Length, 8u], moved.Select(one => one.Length));
        Assert.Equal(moved[0].Value, moved[1].Value);
        Assert.NotEqual(moved[0].Value, moved[2].Value);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Regions_can_be_mapped_only_where_that_is_allowed(bool allowed)
    {
        using TraceRig rig = new(new TraceOptions { AllowMapping = allowed });
        using GuardedFunction bench = new(new Vfio.Devices.Bench.BenchFunction());
        using TracedDevice device = new(bench.Open(), rig.Trace);
        Assert.Equal(allowed, Enumerable.Range(0, 6).Any(bar => device.GetRegion(RegionIndex.Bar(bar)).IsMappable));
    }

    [Fact]
    public void An_event_allocates_nothing()
    {
        using TraceRig rig = new(new TraceOptions { RingEvents = 256 });
        using TracedDevice device = new(new StillDevice(), rig.Trace);
        byte[] bytes = new byte[4];
        Assert.Equal(0, Measure.Allocations(() =>
        {
            device.ReadRegion(RegionIndex.Bar0, 0, bytes);
            device.WriteRegion(RegionIndex.Bar0, 4, bytes);
        }));
    }

    [Fact]
    public async Task Events_of_many_threads_all_arrive_and_each_is_whole()
    {
        const int Threads = 4, Each = 20_000;
        using TraceRig rig = new(new TraceOptions { RingEvents = 1 << 18, MaxDataBytes = 200 });

        // The next thread may have the number of one that has ended.
        using Barrier end = new(Threads);
        using (TracedDevice device = new(new StillDevice(), rig.Trace))
        {
            await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Factory.StartNew(
                () =>
                {
                    byte[] bytes = new byte[100];
                    bytes.AsSpan().Fill((byte)(thread + 1));
                    for (int i = 0; i < Each; i++)
                        device.WriteRegion(RegionIndex.Bar0, (ulong)i, bytes.AsSpan(0, i % 10 == 0 ? 100 : 4));
                    Assert.True(end.SignalAndWait(HangGuard.Timeout));
                },
                TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        }

        TraceEvent[] events = [.. rig.Happened().Where(one => one.Kind == TraceEventKind.Write)];
        Assert.Equal(0, rig.Trace.Dropped);
        Assert.Equal(Threads * Each, events.Length);
        foreach (IGrouping<uint, TraceEvent> thread in events.GroupBy(one => one.Thread))
        {
            byte filler = thread.ElementAt(1).Data.IsEmpty ? (byte)thread.ElementAt(1).Value : (byte)0;
            Assert.Equal(Enumerable.Range(0, Each).Select(i => (ulong)i), thread.Select(one => one.Place));
            Assert.All(thread.Where(one => one.Length == 100), one => Assert.False(one.Data.Span.ContainsAnyExcept(filler)));
        }
    }

    [Fact]
    public void When_the_trace_is_not_written_in_time_events_are_dropped_and_counted_and_the_device_goes_on()
    {
        using StuckStream stuck = new();
        DeviceTrace trace = new(stuck, new TraceOptions { RingEvents = 256 });
        using (TracedDevice device = new(new StillDevice(), trace))
        {
            byte[] bytes = new byte[4];
            stuck.Reached.Wait(HangGuard.Timeout, TestContext.Current.CancellationToken);
            for (int i = 0; i < 10_000; i++)
                device.WriteRegion(RegionIndex.Bar0, 0, bytes);
            Assert.True(trace.Dropped >= 10_000 - 256);
            stuck.Release.Set();
        }

        trace.Dispose();
        TraceEvent[] events = TraceRig.Read(stuck.Written);
        long lost = events.Where(one => one.Kind == TraceEventKind.Lost).Sum(one => (long)one.Value);
        Assert.Equal(trace.Dropped, lost);
        Assert.Equal(10_000 + 1, events.Count(one => one.Kind is TraceEventKind.Write or TraceEventKind.Close) + lost);
    }

    [Fact]
    public async Task A_full_disk_ends_the_trace_and_not_the_device()
    {
        DeviceTrace trace = DeviceTrace.ToFile("/dev/full");
        using (TracedDevice device = new(_edu.Open(), trace))
        {
            device.WriteRegion(RegionIndex.Config, 4, [2, 0]);
            await trace.Ended.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
            Assert.Equal(28, Assert.IsAssignableFrom<IOException>(trace.Failure).HResult & 0xffff); // ENOSPC
            for (int i = 0; i < 1000; i++)
                Assert.Equal(0x010000edu, Read(device, Identification));
        }

        trace.Dispose();
    }

    [Fact]
    public async Task A_file_that_gets_too_large_ends_the_trace_and_not_the_device()
    {
        DeviceTrace trace = new(new TooLargeStream());
        using (TracedDevice device = new(_edu.Open(), trace))
        {
            await trace.Ended.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
            Assert.Equal(27, Assert.IsAssignableFrom<IOException>(trace.Failure).HResult); // EFBIG
            device.WriteRegion(RegionIndex.Config, 4, [2, 0]);
            Assert.Equal(0x010000edu, Read(device, Identification));
        }

        trace.Dispose();
    }

    [Fact]
    public async Task A_trace_ends_while_its_device_is_never_idle()
    {
        DeviceTrace trace = new(new MemoryStream(), new TraceOptions { RingEvents = 256, Stop = TraceTrigger.Parse("10") });
        using TracedDevice device = new(new StillDevice(), trace);
        using CancellationTokenSource over = new();
        Task busy = Task.Factory.StartNew(
            () =>
            {
                while (!over.IsCancellationRequested)
                    device.WriteRegion(RegionIndex.Bar0, 0, [1]);
            },
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await trace.Ended.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
        await Task.Run(trace.Dispose, TestContext.Current.CancellationToken).WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
        Assert.False(busy.IsCompleted);
        over.Cancel();
        await busy;
        Assert.Null(trace.Failure);
    }

    [Fact]
    public void The_device_behind_is_given_to_nobody()
    {
        using TraceRig rig = new();
        using TracedDevice device = new(new StillDevice(), rig.Trace);
        Assert.False(device.TryGet(out IVfioDevice? _));
        Assert.False(device.TryGet(out StillDevice? _));
        Assert.False(device.TryGet(out object? _));
    }

    [Fact]
    public void Config_space_is_read_at_once_at_the_begin()
    {
        using TraceRig rig = new();
        using TraceRig outer = new();
        new TracedDevice(new TracedDevice(_edu.Open(), rig.Trace), outer.Trace).Dispose();
        TraceEvent read = Assert.Single(rig.Happened(), one => one.Kind == TraceEventKind.Read);
        Assert.Equal((RegionIndex.Config, 0ul), (read.Region, read.Place));
        Assert.Equal(outer.Events().Single(one => one.Kind == TraceEventKind.ConfigSpace).Length, read.Length);
    }

    [Fact]
    public void A_refused_series_of_reads_is_in_the_trace_read_by_read()
    {
        using TraceRig rig = new();
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
            Assert.Throws<VfioException>(() => device.ReadRegions([new(RegionIndex.Bar0, Liveness, 4), new(RegionIndex.Bar0, 0x100000, 4)], new ulong[2]));
        Assert.Equal(
            [(TraceEventKind.Read, Liveness, 4u, Errno.InvalidArgument), (TraceEventKind.Read, 0x100000ul, 4u, Errno.InvalidArgument)],
            rig.Happened()[..^1].Select(one => (one.Kind, one.Place, one.Length, one.Error)));
    }

    [Fact]
    public void A_trace_can_begin_and_end_with_events_that_it_does_not_keep()
    {
        using TraceRig rig = new(new TraceOptions
        {
            Filter = TraceFilter.Parse("bar0:0x4"),
            Start = TraceTrigger.Parse("config:4"),
            Stop = TraceTrigger.Parse("bar0:0x60"),
        });
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
        {
            device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Msi));
            device.WriteRegion(RegionIndex.Config, 4, [2, 0]);
            Write(device, Liveness, 1);
            Write(device, Raise, 1);
            Write(device, Liveness, 2);
        }

        TraceEvent kept = Assert.Single(rig.Happened());
        Assert.Equal((Liveness, 1ul), (kept.Place, kept.Value));
    }

    [Fact]
    public void A_trace_can_begin_and_end_with_an_event_and_keep_what_is_asked_for()
    {
        using TraceRig rig = new(new TraceOptions
        {
            Filter = TraceFilter.Parse("bar0:0x0-0x7,bar0:0x60"),
            Start = TraceTrigger.Parse("bar0:0x4=0x2"),
            Stop = TraceTrigger.Parse("bar0:0x60"),
        });
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
        {
            device.WriteRegion(RegionIndex.Config, 4, [2, 0]);
            Write(device, Liveness, 1);
            Write(device, Liveness, 2);
            Write(device, 0x20, 0x80);
            Read(device, Identification);
            Write(device, Raise, 1);
            Write(device, Liveness, 3);
        }

        Assert.Equal(
            [(Liveness, 2ul), (Identification, 0x010000edul), (Raise, 1ul)], rig.Happened().Select(one => (one.Place, one.Value)));
    }

    [Fact]
    public void The_last_events_are_kept()
    {
        using TraceRig rig = new(new TraceOptions { Last = 3 });
        using (TracedDevice device = new(_edu.Open(), rig.Trace))
        {
            device.WriteRegion(RegionIndex.Config, 4, [2, 0]);
            for (uint i = 0; i < 100; i++)
                Write(device, Liveness, i);
        }

        TraceEvent[] events = rig.Events();
        Assert.Equal(TraceEventKind.Open, events[0].Kind);
        Assert.Equal([98ul, 99ul], events[^3..^1].Select(one => one.Value));
        Assert.Equal(3, events.Count(one => one.Kind > TraceEventKind.AddressRange));
    }

    [Theory]
    [InlineData("")]
    [InlineData("bar9")]
    [InlineData("bar0:")]
    [InlineData("bar0:0x20-0x10")]
    [InlineData("irq,,dma")]
    [InlineData("bar0:99999999999999999999")]
    public void What_is_no_filter_is_refused_with_what_is_right(string text)
    {
        FormatException refusal = Assert.Throws<FormatException>(() => TraceFilter.Parse(text));
        Assert.NotEmpty(refusal.Message);
    }

    /// <summary>What .NET throws where write(2) says EFBIG.</summary>
    private sealed class TooLargeStream : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => throw new ArgumentOutOfRangeException(nameof(buffer));
    }

    /// <summary>A stream whose first write waits.</summary>
    private sealed class StuckStream : Stream
    {
        private readonly MemoryStream _bytes = new();

        internal ManualResetEventSlim Reached { get; } = new();

        internal ManualResetEventSlim Release { get; } = new();

        internal byte[] Written => _bytes.ToArray();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            Reached.Set();
            Assert.True(Release.Wait(HangGuard.Timeout));
            _bytes.Write(buffer, offset, count);
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
