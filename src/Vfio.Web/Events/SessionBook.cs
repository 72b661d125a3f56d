using System.Text;
using Vfio.Native.Errors;
using Vfio.Pci;
using Vfio.Tracing;

namespace Vfio.Web.Events;

/// <summary>The sessions of a trace: which device was opened, its config space then, and the names of its registers.</summary>
/// <remarks>One thread adds, any reads.</remarks>
internal sealed class SessionBook
{
    /// <summary>The oldest are forgotten: a trace may have any number.</summary>
    internal const int Most = 64;

    private readonly RegisterNames _users;
    private volatile TraceSession[] _sessions = [];

    /// <summary>Makes an empty one.</summary>
    /// <param name="users">The names of the user's table.</param>
    internal SessionBook(RegisterNames users) => _users = users;

    /// <summary>Those that are known, the oldest first.</summary>
    internal IReadOnlyList<TraceSession> Sessions => _sessions;

    /// <summary>The names of a session's device.</summary>
    internal RegisterNames NamesOf(int session) => Find(session)?.Names.Value ?? _users;

    /// <summary>Learns from an event.</summary>
    internal void Add(in TraceEvent one)
    {
        switch (one.Kind)
        {
            case TraceEventKind.Open:
                string name = PrintableText.Of(Encoding.UTF8.GetString(one.Data.Span));
                int session = one.Session;
                TraceSession opened = new(session, name, one.Nanoseconds, [], new Lazy<RegisterNames>(_users));
                _sessions = [.. _sessions.Where(known => known.Number != session).TakeLast(Most - 1), opened];
                break;
            case TraceEventKind.ConfigSpace when Find(one.Session) is { } known:
                byte[] config = one.Data.Span[..Math.Min(one.Data.Length, ConfigSpace.ExtendedLength)].ToArray();

                // Found when they are first asked for: a trace may have any number of config spaces.
                TraceSession whole = known with { Config = config, Names = new Lazy<RegisterNames>(() => RegisterNames.For(config, _users)) };
                _sessions = [.. _sessions.Select(other => other == known ? whole : other)];
                break;
            default:
                break;
        }
    }

    private TraceSession? Find(int session) => Array.FindLast(_sessions, known => known.Number == session);
}

/// <summary>One opening of a device.</summary>
/// <param name="Number">Its number in the trace.</param>
/// <param name="Device">The device's name.</param>
/// <param name="Opened">When, in nanoseconds since the trace began.</param>
/// <param name="Config">Config space then; empty for a device that is no PCI function.</param>
/// <param name="Names">Names of registers.</param>
internal sealed record TraceSession(int Number, string Device, ulong Opened, byte[] Config, Lazy<RegisterNames> Names);
