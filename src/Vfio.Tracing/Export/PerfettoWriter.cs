using System.Text;
using Vfio.Native.Errors;
using Vfio.Tracing.Text;

namespace Vfio.Tracing.Export;

/// <summary>Writes events as Perfetto's trace format, which ui.perfetto.dev and its trace processor read.</summary>
/// <remarks>
/// <para>perfetto.dev, "Synthetic Track Event" and <c>protos/perfetto/trace</c>. A session is a track with tracks below it: the driver's
/// threads
/// with a slice for each read and an instant for each other call; the device with its DMA and interrupts, and a slice from each
/// write of a BAR to the last thing that came of it; counters of mapped memory, of DMA and of register accesses.</para>
/// <para>A flow leads from a write of a BAR to what the device did until the driver's next write.</para>
/// </remarks>
/// <param name="stream">Where to; the caller owns it.</param>
internal sealed class PerfettoWriter(Stream stream)
{
    private const uint Sequence = 1;
    private readonly ProtobufWriter _event = new(), _packet = new(), _trace = new();
    private readonly Dictionary<int, SessionTracks> _sessions = [];
    private readonly HashSet<ulong> _tracks = [];
    private bool _isBegun;

    private enum EventType : ulong
    {
        SliceBegin = 1,
        SliceEnd = 2,
        Instant = 3,
        Counter = 4,
    }

    /// <summary>Writes an event.</summary>
    internal void Write(in TraceEvent one, RegisterNames names)
    {
        if (!_sessions.TryGetValue(one.Session, out SessionTracks? session))
            _sessions.Add(one.Session, session = new SessionTracks(one.Session));
        string what = TraceText.What(one, names);
        switch (one.Kind)
        {
            case TraceEventKind.Open:
                session.Name = $"session {one.Session}: {PrintableText.Of(Encoding.UTF8.GetString(one.Data.Span))}";
                break;
            case TraceEventKind.Region or TraceEventKind.InterruptKind or TraceEventKind.ConfigSpace or TraceEventKind.AddressRange:
                break;
            case TraceEventKind.Read:
                ulong start = one.Nanoseconds - Math.Min(one.Nanoseconds, one.DurationNanoseconds);
                Add(EventType.SliceBegin, ThreadTrack(session, one.Thread), start, what);
                Add(EventType.SliceEnd, ThreadTrack(session, one.Thread), one.Nanoseconds, null);
                Count(session, Counter.Accesses, one.Nanoseconds, ++session.Accesses);
                break;
            case TraceEventKind.Write:
                WriteAccess(session, one, what, names);
                break;
            case TraceEventKind.DmaRead or TraceEventKind.DmaWrite or TraceEventKind.Interrupt:
                Add(EventType.Instant, DeviceTrack(session), one.Nanoseconds, what, session.Flow);
                session.LastEffect = one.Nanoseconds;
                if (one.Kind != TraceEventKind.Interrupt && one.Error == Errno.None)
                    Count(session, Counter.DmaBytes, one.Nanoseconds, session.DmaBytes += one.Length);
                break;
            default:
                Add(EventType.Instant, ThreadTrack(session, one.Thread), one.Nanoseconds, what);
                WriteMapping(session, one);
                break;
        }
    }

    /// <summary>Ends what is open.</summary>
    internal void Finish()
    {
        foreach (SessionTracks session in _sessions.Values)
            EndCommand(session);
        stream.Flush();
    }

    private void WriteAccess(SessionTracks session, in TraceEvent one, string what, RegisterNames names)
    {
        ulong? flow = null;
        if (one.Region.IsBar)
        {
            EndCommand(session);
            session.Command = names.Find(one.Region, one.Place) ?? $"{TraceText.NameOf(one.Region)} 0x{one.Place:x}";
            session.CommandStart = one.Nanoseconds;

            // Unique in the trace: the number of the event.
            session.Flow = flow = (ulong)one.Index + 1;
        }

        Add(EventType.Instant, ThreadTrack(session, one.Thread), one.Nanoseconds, what, flow);
        Count(session, Counter.Accesses, one.Nanoseconds, ++session.Accesses);
    }

    private void WriteMapping(SessionTracks session, in TraceEvent one)
    {
        switch (one.Kind)
        {
            case TraceEventKind.Map:
                session.Mapped.Add(one.Place, one.Value);
                break;
            case TraceEventKind.Unmap:
                session.Mapped.Remove(one.Place, one.Value);
                break;
            case TraceEventKind.UnmapAll:
                session.Mapped.Clear();
                break;
            case TraceEventKind.Error when one.Value == (ulong)TraceEventKind.Map:
                session.Mapped.Remove(one.Place, 1);
                break;
            default:
                return;
        }

        Count(session, Counter.MappedBytes, one.Nanoseconds, session.Mapped.Bytes);
    }

    private void EndCommand(SessionTracks session)
    {
        if (session.Command is { } name && session.LastEffect > session.CommandStart)
        {
            ulong track = Track(session, 2, "commands", counterUnit: null);
            Add(EventType.SliceBegin, track, session.CommandStart, name);
            Add(EventType.SliceEnd, track, session.LastEffect, null);
        }

        session.Command = null;
    }

    private void Count(SessionTracks session, Counter counter, ulong time, ulong value)
    {
        (string name, ulong unit) = counter switch
        {
            Counter.MappedBytes => ("memory mapped", 3ul), // UNIT_SIZE_BYTES
            Counter.DmaBytes => ("DMA", 3ul),
            _ => ("register accesses", 2ul), // UNIT_COUNT
        };
        ulong track = Track(session, 16 + (uint)counter, name, unit);
        _event.Clear();
        _event.Add(9, (ulong)EventType.Counter);
        _event.Add(11, track);
        _event.Add(30, value);
        Packet(time);
    }

    private ulong ThreadTrack(SessionTracks session, uint thread) => Track(session, 0x1_0000_0000UL + thread, $"driver, thread {thread}", null);

    private ulong DeviceTrack(SessionTracks session) => Track(session, 1, "device", null);

    /// <summary>The id of a track of a session, described before its first event.</summary>
    private ulong Track(SessionTracks session, ulong number, string name, ulong? counterUnit)
    {
        ulong parent = ((ulong)session.Number + 1) << 40;
        if (_tracks.Add(parent))
            Describe(parent, session.Name, null, null);
        ulong id = parent | (number + 1);
        if (_tracks.Add(id))
            Describe(id, name, parent, counterUnit);
        return id;
    }

    private void Describe(ulong id, string name, ulong? parent, ulong? counterUnit)
    {
        // An event may be under way.
        ProtobufWriter track = new(), packet = new();
        track.Add(1, id);
        track.Add(2, name);
        if (parent is { } above)
            track.Add(5, above);
        if (counterUnit is { } unit)
        {
            ProtobufWriter counter = new();
            counter.Add(3, unit);
            track.Add(8, counter.Written);
        }

        packet.Add(60, track.Written);
        Emit(packet);
    }

    private void Add(EventType type, ulong track, ulong time, string? name, ulong? flow = null)
    {
        _event.Clear();
        _event.Add(9, (ulong)type);
        _event.Add(11, track);
        if (name is not null)
            _event.Add(23, name);
        if (flow is { } id)
            _event.AddFixed(47, id);
        Packet(time);
    }

    private void Packet(ulong time)
    {
        _packet.Clear();
        _packet.Add(8, time);
        _packet.Add(10, Sequence);
        _packet.Add(11, _event.Written);
        if (!_isBegun)
            _packet.Add(13, 1); // SEQ_INCREMENTAL_STATE_CLEARED
        _isBegun = true;
        Emit(_packet);
    }

    private void Emit(ProtobufWriter packet)
    {
        _trace.Clear();
        _trace.Add(1, packet.Written);
        stream.Write(_trace.Written);
    }

    private enum Counter : uint
    {
        MappedBytes,
        DmaBytes,
        Accesses,
    }

    private sealed class SessionTracks(int number)
    {
        internal int Number => number;

        internal string Name { get; set; } = $"session {number}";

        internal MappedRanges Mapped { get; } = new();

        internal ulong DmaBytes { get; set; }

        internal ulong Accesses { get; set; }

        internal ulong? Flow { get; set; }

        internal string? Command { get; set; }

        internal ulong CommandStart { get; set; }

        internal ulong LastEffect { get; set; }
    }
}
