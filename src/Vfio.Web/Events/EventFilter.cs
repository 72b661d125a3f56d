using System.Globalization;
using Vfio.Tracing;
using Vfio.Tracing.Format;
using Vfio.Tracing.Text;

namespace Vfio.Web.Events;

/// <summary>Which events are shown: words that all have to be in an event's line. A minus before a word: it must not be there.</summary>
/// <remarks>A word is a part of the kind, place or name of the register (<c>write</c>, <c>bar0</c>, <c>admin</c>, <c>0x14</c>),
/// <c>=0x1</c> is a value, <c>s2</c> a session, <c>t5</c> a thread. One thread at a time.</remarks>
internal sealed class EventFilter
{
    private const int MaxLength = 200, MaxCached = 1 << 14;
    private readonly List<Term> _terms = [];
    private readonly SessionBook _sessions;
    private readonly Dictionary<(TraceEventKind Kind, uint Number, ulong Place, ulong Of, ushort Session), string> _lines = [];

    /// <summary>Reads a filter; any text is one.</summary>
    internal EventFilter(string text, SessionBook sessions)
    {
        _sessions = sessions;
        string[] words = text[..Math.Min(text.Length, MaxLength)].ToLowerInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        foreach (string given in words)
        {
            bool isNot = given.Length > 1 && given[0] == '-';
            string word = isNot ? given[1..] : given;
            _terms.Add(word switch
            {
                ['=', .. var value] when Number(value) is { } number => new Term(word, isNot, TermKind.Value, number),
                ['s', .. var session] when Digits(session) is { } number => new Term(word, isNot, TermKind.Session, number),
                ['t', .. var thread] when Digits(thread) is { } number => new Term(word, isNot, TermKind.Thread, number),
                _ => new Term(word, isNot, TermKind.Text, 0),
            });
        }
    }

    /// <summary>Whether it keeps everything.</summary>
    internal bool IsEmpty => _terms.Count == 0;

    /// <summary>Whether it keeps an event.</summary>
    internal bool Takes(in TraceRecord record)
    {
        foreach (Term term in _terms)
        {
            bool isThere = term.Kind switch
            {
                TermKind.Value => record.Kind is TraceEventKind.Read or TraceEventKind.Write && record.Value == term.Number,
                TermKind.Session => record.Session == term.Number,
                TermKind.Thread => record.Thread == term.Number,
                _ => LineOf(record).Contains(term.Word, StringComparison.Ordinal),
            };
            if (isThere == term.IsNot)
                return false;
        }

        return true;
    }

    /// <summary>What an event's line has of kind, place and name: the same for all accesses of a register.</summary>
    private string LineOf(in TraceRecord record)
    {
        bool isAccess = record.Kind is TraceEventKind.Read or TraceEventKind.Write;
        bool isDma = record.Kind is TraceEventKind.DmaRead or TraceEventKind.DmaWrite;
        string refused = record.Error == 0 ? "" : " refused";
        ulong of = isAccess || isDma ? record.Error : record.Value ^ (ulong)record.Error << 48;
        (TraceEventKind, uint, ulong, ulong, ushort) key = (record.Kind, record.Number, record.Place, of, record.Session);
        if (_lines.TryGetValue(key, out string? line))
            return line;
        if (_lines.Count >= MaxCached)
            _lines.Clear();
        RegisterNames names = _sessions.NamesOf(record.Session);
        string kind = TraceText.NameOf(record.Kind);
        line = isAccess ? $"{kind} {TraceText.Register(new RegionIndex(record.Number), record.Place, names)}{refused}"
            : isDma ? $"{kind} 0x{record.Place:x}{refused}"
            : TraceText.What(new TraceEvent(record, default, 0), names);
        line = line.ToLowerInvariant();
        _lines.Add(key, line);
        return line;
    }

    private static ulong? Digits(string text) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : null;

    private static ulong? Number(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong hex) ? hex : null
        : Digits(text);

    private enum TermKind
    {
        Text,
        Value,
        Session,
        Thread,
    }

    private readonly record struct Term(string Word, bool IsNot, TermKind Kind, ulong Number);
}
