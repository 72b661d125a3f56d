using Vfio.Cli.Trace;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Tracing;
using Vfio.Tracing.Text;

namespace Vfio.Tests.Tracing;

/// <summary>Rates of what happens to a device.</summary>
public sealed class TopTests
{
    [Fact]
    public void Accesses_interrupts_mappings_and_refusals_are_counted_by_register_and_vector()
    {
        string[] lines = Show(screen => { });
        Assert.Contains(lines, line => line.StartsWith("read bar0 0x0004 Liveness 50/s 100 ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("write bar0 0x0004 Liveness 1/s 1", StringComparison.Ordinal) || line.StartsWith("write bar0 0x0004 Liveness 0/s 1", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("error write bar0 0x100000 refused: ", StringComparison.Ordinal));
        Assert.Equal("model:edu: 0 mappings", lines[^1]);
        Assert.StartsWith("read bar0 0x0004 Liveness", lines[0]);
    }

    [Fact]
    public void A_key_sorts_and_another_one_ends()
    {
        string[] lines = Show(screen =>
        {
            Assert.True(screen.Press('n'));
            Assert.True(screen.Press('x'));
            Assert.False(screen.Press('q'));
        });
        Assert.Contains("bar0 0x0004 Liveness", lines[0]);
        Assert.Contains("config 0x0004 Control", lines[^3]);
    }

    [Fact]
    public void A_driver_that_touches_every_byte_does_not_fill_memory()
    {
        TraceTotals totals = new();
        using TraceRig rig = new(new TraceOptions { RingEvents = 1 << 16 });
        using (TracedDevice device = new(new StillDevice(), rig.Trace))
        {
            for (ulong at = 0; at < 3 * TraceTotals.MostRows; at++)
                device.WriteRegion(RegionIndex.Bar0, at, [0]);
        }

        foreach (TraceEvent one in rig.Events())
            totals.Add(one, RegisterNames.None);
        List<TotalRow> rows = totals.Take(out _);
        Assert.Equal(TraceTotals.MostRows + 1, rows.Count);
        Assert.Equal(3 * TraceTotals.MostRows, rows.Sum(row => row.Count));
        Assert.Contains(rows, row => row.What == "elsewhere");
    }

    [Fact]
    public void A_refused_mapping_is_none_and_a_session_that_closes_takes_its_own()
    {
        TraceTotals totals = new();
        Add(TraceEventKind.Map, 1, 0x1000);
        Add(TraceEventKind.Map, 2, 0x1000);
        Assert.Equal(2, Mappings());
        Add(TraceEventKind.Map, 2, 0x1000);
        Add(TraceEventKind.Error, 2, 0x1000, (ulong)TraceEventKind.Map);
        Assert.Equal(2, Mappings());
        Add(TraceEventKind.Map, 2, 0x2000);
        Add(TraceEventKind.Error, 2, 0x2000, (ulong)TraceEventKind.Map);
        Assert.Equal(2, Mappings());
        Add(TraceEventKind.Close, 1, 0);
        Assert.Equal(1, Mappings());
        Add(TraceEventKind.Unmap, 2, 0x1000);
        Assert.Equal(0, Mappings());

        void Add(TraceEventKind kind, ushort session, ulong place, ulong value = 0x1000)
        {
            Vfio.Tracing.Format.TraceRecord record = new() { Kind = kind, Session = session, Place = place, Value = value };
            totals.Add(new TraceEvent(record, default, 0), RegisterNames.None);
        }

        int Mappings()
        {
            totals.Take(out int mappings);
            return mappings;
        }
    }

    /// <summary>The lines of two seconds in which edu was used.</summary>
    private static string[] Show(Action<TopScreen> press)
    {
        TraceTotals totals = new();
        using TraceRig rig = new();
        using (GuardedFunction guard = new(new EduFunction()))
        using (TracedDevice device = new(guard.Open(), rig.Trace))
        {
            byte[] four = new byte[4];
            device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
            device.WriteRegion(RegionIndex.Bar0, 4, four);
            for (int i = 0; i < 100; i++)
                device.ReadRegion(RegionIndex.Bar0, 4, four);
            Assert.Throws<VfioException>(() => device.WriteRegion(RegionIndex.Bar0, 0x100000, four));
        }

        NamedEvents events = new(totals.Add, () => { }, default);
        foreach (TraceEvent one in rig.Events())
            events.Write(one);
        StringWriter output = new();
        TopScreen screen = new(totals, output, "model:edu");
        press(screen);
        output.GetStringBuilder().Clear();
        screen.Show(seconds: 2);
        return output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
