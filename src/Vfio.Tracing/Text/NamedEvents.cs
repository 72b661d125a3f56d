using Vfio.Tracing.Format;

namespace Vfio.Tracing.Text;

/// <summary>Gives events, with the names of their registers, to who prints them.</summary>
/// <remarks>The names come with a session: from its config space, and a table of the user's.</remarks>
/// <param name="print">Prints one event.</param>
/// <param name="flush">Called when there is nothing more for now.</param>
/// <param name="table">A table of registers as JSON, which is valid; empty for none.</param>
internal sealed class NamedEvents(Action<TraceEvent, RegisterNames> print, Action flush, ReadOnlyMemory<byte> table) : ITraceSink
{
    // A session that ended may be named by later events of its threads; more than these are forgotten, the oldest first.
    private const int MostSessions = 64;
    private readonly Dictionary<int, RegisterNames> _names = [];
    private readonly Queue<int> _sessions = [];

    // Read once: a trace may have any number of sessions.
    private readonly RegisterNames _unknown = RegisterNames.For(default, table);
    private long _index;

    /// <summary>The names of a session's device.</summary>
    internal RegisterNames NamesOf(int session) => _names.GetValueOrDefault(session, _unknown);

    /// <inheritdoc/>
    public void Write(in TraceRecord record, ReadOnlySpan<byte> payload) =>
        Write(new TraceEvent(record, payload[..(int)Math.Min((uint)payload.Length, record.Length)].ToArray(), _index++));

    /// <summary>Prints an event.</summary>
    internal void Write(in TraceEvent one)
    {
        if (one.Kind == TraceEventKind.ConfigSpace)
            Learn(one);
        print(one, NamesOf(one.Session));
    }

    /// <inheritdoc/>
    public void Flush() => flush();

    /// <inheritdoc/>
    public void Dispose() => flush();

    private void Learn(in TraceEvent one)
    {
        if (!_names.ContainsKey(one.Session))
            _sessions.Enqueue(one.Session);
        _names[one.Session] = RegisterNames.For(one.Data.Span, _unknown);
        while (_sessions.Count > MostSessions)
            _names.Remove(_sessions.Dequeue());
    }
}
