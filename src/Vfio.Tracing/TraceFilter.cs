using System.Globalization;
using System.Text.RegularExpressions;
using Vfio.Tracing.Format;

namespace Vfio.Tracing;

/// <summary>Which events a trace keeps. What describes a session, what was refused, and what is missing is always kept.</summary>
public sealed partial class TraceFilter
{
    private const string Examples = "bar0, bar0:0x10-0x1f, config, config:4, rom, irq, dma, map, reset, migration";
    private static readonly Dictionary<string, TraceEventKind[]> Words = new(StringComparer.Ordinal)
    {
        ["irq"] = [TraceEventKind.SetInterrupts, TraceEventKind.Interrupt],
        ["dma"] = [TraceEventKind.DmaRead, TraceEventKind.DmaWrite],
        ["map"] = [TraceEventKind.Map, TraceEventKind.Unmap, TraceEventKind.UnmapAll],
        ["reset"] = [TraceEventKind.Reset, TraceEventKind.Restarted],
        ["migration"] = [TraceEventKind.SetMigrationState, TraceEventKind.ReadState, TraceEventKind.WriteState],
    };

    private readonly HashSet<TraceEventKind> _kinds =
    [
        TraceEventKind.Open, TraceEventKind.Region, TraceEventKind.InterruptKind, TraceEventKind.ConfigSpace, TraceEventKind.AddressRange,
        TraceEventKind.Error, TraceEventKind.Removed, TraceEventKind.Close, TraceEventKind.Lost,
    ];

    private readonly List<(uint Region, ulong First, ulong Last)> _places = [];

    private TraceFilter()
    {
    }

    /// <summary>Reads a filter: <c>bar0:0x10-0x1f,config,irq</c>.</summary>
    /// <param name="text">Regions, with a range of offsets where wanted, and kinds of events, between commas.</param>
    /// <exception cref="FormatException">It is no filter; the message says why, and what is right.</exception>
    public static TraceFilter Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        TraceFilter filter = new();
        foreach (string word in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (Words.TryGetValue(word, out TraceEventKind[]? kinds))
                filter._kinds.UnionWith(kinds);
            else
                filter._places.Add(ParsePlace(word));
        }

        return filter;
    }

    /// <summary>Whether an event is kept.</summary>
    public bool Takes(in TraceEvent one) => Takes(one.Kind, one.Number, one.Place, one.Length);

    /// <summary>Whether an event is kept.</summary>
    internal bool Takes(in TraceRecord record) => Takes(record.Kind, record.Number, record.Place, record.Length);

    private bool Takes(TraceEventKind kind, uint region, ulong place, uint length)
    {
        if (kind is not (TraceEventKind.Read or TraceEventKind.Write))
            return _kinds.Contains(kind);
        ulong last = length == 0 || place > ulong.MaxValue - length ? place : place + (length - 1);
        foreach ((uint wanted, ulong first, ulong end) in _places)
        {
            if (wanted == region && place <= end && first <= last)
                return true;
        }

        return false;
    }

    /// <summary>Reads a region, and a range in it.</summary>
    internal static (uint Region, ulong First, ulong Last) ParsePlace(string word)
    {
        Match match = Place().Match(word);
        if (!match.Success)
            throw new FormatException($"'{word}' is nothing to trace; write such as {Examples}");
        string name = match.Groups["region"].Value;
        uint region = name == "config" ? RegionIndex.Config.Value : name == "rom" ? RegionIndex.Rom.Value : (uint)(name[^1] - '0');
        ulong first = match.Groups["first"].Success ? Number(match.Groups["first"].Value) : 0;
        ulong last = match.Groups["last"].Success ? Number(match.Groups["last"].Value) : match.Groups["first"].Success ? first : ulong.MaxValue;
        return first <= last ? (region, first, last) : throw new FormatException($"'{word}' ends before it begins");
    }

    /// <summary>Reads a number, hex with 0x.</summary>
    internal static ulong Number(string text)
    {
        bool isHex = text.StartsWith("0x", StringComparison.Ordinal);
        return ulong.TryParse(
            isHex ? text.AsSpan(2) : text, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
            ? number
            : throw new FormatException($"'{text}' is too large for a number");
    }

    [GeneratedRegex(@"^(?<region>bar[0-5]|config|rom)(:(?<first>0x[0-9a-f]{1,16}|\d{1,20})(-(?<last>0x[0-9a-f]{1,16}|\d{1,20}))?)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Place();
}
