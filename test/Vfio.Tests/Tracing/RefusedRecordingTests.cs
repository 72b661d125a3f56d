using Vfio.Tracing;
using Vfio.Tracing.Format;

namespace Vfio.Tests.Tracing;

/// <summary>Recordings that were written here event by event: what is no recording is refused, and what a driver does otherwise is told.</summary>
public sealed class RefusedRecordingTests : IDisposable
{
    private static readonly TraceRecord Open = new() { Kind = TraceEventKind.Open, Session = 1, Place = 1, Value = 3 };
    private static readonly TraceRecord Region = new() { Kind = TraceEventKind.Region, Session = 1, Place = 3, Value = 4096 };
    private static readonly TraceRecord Access = new() { Kind = TraceEventKind.Write, Session = 1, Length = 4, Value = 1 };
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"vfio-recording-{Guid.NewGuid():n}");

    public static TheoryData<ReplayMode> Modes => [ReplayMode.Strict, ReplayMode.Register, ReplayMode.Loose];

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void A_file_of_zeros_is_refused_at_its_first_event()
    {
        Write();
        using (FileStream file = new(_file, FileMode.Open))
            file.SetLength(1L << 33);
        Assert.Contains("event 0", Refused());
    }

    [Fact]
    public void A_kind_that_there_is_not_is_refused()
    {
        Write((Open, []), (Access, []), (new TraceRecord { Kind = (TraceEventKind)200, Session = 1 }, []));
        Assert.Contains("no kind", Refused());
    }

    [Fact]
    public void An_event_of_no_session_is_refused()
    {
        Write((Open with { Session = 0 }, []), (Access with { Session = 0 }, []));
        Assert.Contains("no session", Refused());
    }

    [Fact]
    public void A_recording_that_ends_within_an_event_is_refused()
    {
        Write((Open, []), (Access, []), (Access, []));
        using (FileStream file = new(_file, FileMode.Open))
            file.SetLength(file.Length - 1);
        Assert.Contains("its end is missing", Refused());
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Other_bytes_of_a_long_write_differ(ReplayMode mode)
    {
        byte[] bytes = [.. Enumerable.Range(0, 16).Select(i => (byte)i)];
        Write((Open, []), (Region, []), (Access with { Length = 16, Value = 0 }, bytes));
        using (ReplayedDevice device = ReplayedDevice.Open(_file, mode))
        {
            device.WriteRegion(RegionIndex.Bar0, 0, bytes);
            Assert.Null(device.Difference);
        }

        bytes[15]++;
        using ReplayedDevice other = ReplayedDevice.Open(_file, mode);
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => other.WriteRegion(RegionIndex.Bar0, 0, bytes)).Errno);
        Assert.Contains("other bytes", other.Difference);
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_long_write_whose_bytes_were_not_kept_cannot_be_compared(ReplayMode mode)
    {
        Write((Open, []), (Region, []), (Access with { Length = 16, Value = 0 }, []));
        using ReplayedDevice device = ReplayedDevice.Open(_file, mode);
        Assert.Throws<VfioException>(() => device.WriteRegion(RegionIndex.Bar0, 0, new byte[16]));
        Assert.Contains("cannot be compared", device.Difference);
    }

    [Theory]
    [InlineData(ReplayMode.Strict)]
    [InlineData(ReplayMode.Loose)]
    public void Other_vectors_differ(ReplayMode mode)
    {
        // VFIO_IRQ_SET_ACTION_MASK and DATA_BOOL, as TraceEventKind.SetInterrupts says.
        ulong value = (ulong)InterruptAction.Mask | ((ulong)InterruptData.Bools << 8);
        Write((Open, []), (Region, []), (Access, []),
            (new TraceRecord { Kind = TraceEventKind.SetInterrupts, Session = 1, Number = 2, Length = 2, Value = value }, [1, 0]));
        using ReplayedDevice same = ReplayedDevice.Open(_file, mode);
        same.WriteRegion(RegionIndex.Bar0, 0, [1, 0, 0, 0]);
        same.SetInterrupts(InterruptRequest.ForSome(InterruptIndex.Msix, InterruptAction.Mask, 0, [1, 0]));
        Assert.Null(same.Difference);
        using ReplayedDevice other = ReplayedDevice.Open(_file, mode);
        other.WriteRegion(RegionIndex.Bar0, 0, [1, 0, 0, 0]);
        Assert.Throws<VfioException>(() => other.SetInterrupts(InterruptRequest.ForSome(InterruptIndex.Msix, InterruptAction.Mask, 0, [0, 1])));
        Assert.Contains("other vectors", other.Difference);
    }

    [Theory]
    [InlineData(DmaAccess.Read, Errno.None, "has not mapped 0x10000 for writes")]
    [InlineData(DmaAccess.ReadWrite, Errno.InputOutput, "cannot be written")]
    public void Memory_that_is_not_for_the_device_to_write_differs(DmaAccess access, Errno error, string why)
    {
        Write((Open, []), (Region, []), (Map(access), []), (Access, []), (DmaWrite, []));
        TraceMemory memory = new(error);
        using ReplayedDevice device = ReplayedDevice.Open(_file);
        device.MapDma(new DmaMapping(new Iova(0x10000), 0x1000, access, memory, 0));
        Assert.Throws<VfioException>(() => device.WriteRegion(RegionIndex.Bar0, 0, [1, 0, 0, 0]));
        Assert.Contains(why, device.Difference);
        Assert.Equal(0, memory.Bytes[0]);
    }

    [Fact]
    public void A_write_to_memory_that_was_refused_is_not_made()
    {
        TraceRecord refused = DmaWrite with { Kind = TraceEventKind.Error, Value = (ulong)TraceEventKind.DmaWrite, Error = 14 };
        Write((Open, []), (Region, []), (Map(DmaAccess.ReadWrite), []), (Access, []), (DmaWrite, []), (refused, []), (DmaWrite with { Place = 0x10008 }, []));
        TraceMemory memory = new();
        using ReplayedDevice device = ReplayedDevice.Open(_file);
        device.MapDma(new DmaMapping(new Iova(0x10000), 0x1000, DmaAccess.ReadWrite, memory, 0));
        device.WriteRegion(RegionIndex.Bar0, 0, [1, 0, 0, 0]);
        Assert.Equal(0, memory.Bytes[0]);
        Assert.Equal(7, memory.Bytes[8]);
    }

    private static TraceRecord DmaWrite => new() { Kind = TraceEventKind.DmaWrite, Session = 1, Length = 4, Place = 0x10000, Value = 7 };

    private static TraceRecord Map(DmaAccess access) =>
        new() { Kind = TraceEventKind.Map, Session = 1, Number = (uint)access, Place = 0x10000, Value = 0x1000 };

    private string Refused()
    {
        VfioException refusal = Assert.Throws<VfioException>(() => ReplayedDevice.Open(_file));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        return refusal.Message;
    }

    private void Write(params (TraceRecord Record, byte[] Data)[] events)
    {
        using TraceFileWriter writer = new(new FileStream(_file, FileMode.Create), 0);
        foreach ((TraceRecord record, byte[] data) in events)
        {
            byte[] payload = new byte[TraceRecord.RecordsFor(data.Length) * TraceRecord.Bytes];
            data.CopyTo(payload, 0);
            writer.Write(record with { PayloadRecords = (ushort)TraceRecord.RecordsFor(data.Length) }, payload);
        }

        writer.Flush();
    }
}
