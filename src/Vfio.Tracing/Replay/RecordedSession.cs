using System.Text;

namespace Vfio.Tracing.Replay;

/// <summary>One session of a recording: what the device is, and what happened.</summary>
internal sealed class RecordedSession
{
    // All of them are kept in memory.
    private const int MostEvents = 1 << 24;
    private const long MostDataBytes = 1L << 30;

    private RecordedSession(int number) => Number = number;

    internal int Number { get; }

    internal string Device { get; private set; } = "";

    internal DeviceInfo Info { get; private set; }

    internal Dictionary<uint, RegionInfo> Regions { get; } = [];

    internal Dictionary<uint, InterruptInfo> Interrupts { get; } = [];

    internal List<IovaRange> Ranges { get; } = [];

    /// <summary>Config space at the begin; empty for a device that is no PCI function.</summary>
    internal ReadOnlyMemory<byte> Config { get; private set; }

    /// <summary>What happened after the begin, in order.</summary>
    internal List<TraceEvent> Events { get; } = [];

    private bool IsOnlyLook => Events.TrueForAll(one => !one.IsOfUser || (one.Error == Errno.None && IsLook(UserAction.Of(one))));

    /// <summary>Whether somebody looks at the whole config space, as who has to know what a function is before there is a
    /// driver.</summary>
    internal bool IsLook(in UserAction action) => action.Kind == TraceEventKind.Read && action.Number == RegionIndex.Config.Value && action.Place == 0
        && action.Length == Config.Length && !Config.IsEmpty;

    /// <summary>Reads the sessions in which a driver accessed a register.</summary>
    /// <exception cref="VfioException">There are none, events are missing, or a fact of a session is no such fact.</exception>
    internal static List<RecordedSession> ReadAll(TraceReader reader, string name)
    {
        Dictionary<int, RecordedSession> open = [];
        List<RecordedSession> sessions = [];
        long dataBytes = 0;
        foreach (TraceEvent one in reader.ReadAll())
        {
            if (one.Kind is TraceEventKind.None or > TraceEventKind.Lost)
                throw Refusal(name, $"event {one.Index} is of no kind that there is");
            dataBytes += one.Data.Length;
            if (one.Index >= MostEvents || dataBytes > MostDataBytes)
                throw Refusal(name, $"it has more than {MostEvents} events, or more than {MostDataBytes >> 20} MiB of data: record less");
            if (one.Kind == TraceEventKind.Lost)
                throw Refusal(name, $"{one.Value} events are missing in it at event {one.Index}: record again, with less load");
            if (one.Session == 0)
                throw Refusal(name, $"event {one.Index} is of no session");
            if (one.Kind == TraceEventKind.Open)
            {
                if (sessions.Count == ushort.MaxValue)
                    throw Refusal(name, $"it has more than {ushort.MaxValue} sessions");
                RecordedSession begun = new(one.Session);
                open[one.Session] = begun;
                sessions.Add(begun);
            }

            if (!open.TryGetValue(one.Session, out RecordedSession? session))
                throw Refusal(name, $"event {one.Index} is of a session that did not begin: record without --start-at");
            session.Add(one, name);
        }

        if (reader.IsCut)
            throw Refusal(name, "it ends within an event, so its end is missing: record again, and let the recording end");
        sessions.RemoveAll(session => !session.Events.Exists(one => one.Kind is TraceEventKind.Read or TraceEventKind.Write));

        // 'vfio run' looks at a function before there is a program.
        if (sessions.Exists(session => !session.IsOnlyLook))
            sessions.RemoveAll(session => session.IsOnlyLook);
        return sessions.Count > 0 ? sessions : throw Refusal(name, "no driver accessed a register in it");
    }

    private static VfioException Refusal(string name, string why) => new("reading the trace", name, Errno.InvalidArgument, why);

    private void Add(in TraceEvent one, string name)
    {
        switch (one.Kind)
        {
            case TraceEventKind.Open:
                if (one.Place > 64 || one.Value > 64)
                    throw Refusal(name, "it tells of a device with more regions or interrupts than there can be");
                Info = new DeviceInfo((DeviceFlags)one.Number, (int)one.Place, (int)one.Value);
                Device = Encoding.UTF8.GetString(one.Data.Span);
                break;
            case TraceEventKind.Region:
                Regions[one.Number] = new RegionInfo(one.Region, one.Value, (RegionFlags)one.Place & ~RegionFlags.Map);
                break;
            case TraceEventKind.InterruptKind:
                if (one.Value > 2048)
                    throw Refusal(name, "it tells of more vectors than there can be");
                Interrupts[one.Number] = new InterruptInfo(one.Interrupt, (int)one.Value, (InterruptFlags)one.Place);
                break;
            case TraceEventKind.AddressRange:
                if (one.Value == 0 || one.Value - 1 > ulong.MaxValue - one.Place)
                    throw Refusal(name, "it tells of a range of addresses that wraps");
                Ranges.Add(new IovaRange(new Iova(one.Place), one.Value));
                break;
            case TraceEventKind.ConfigSpace:
                Config = one.Data;
                break;
            default:
                Events.Add(one);
                break;
        }
    }
}
