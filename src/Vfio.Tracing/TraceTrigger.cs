using System.Globalization;
using System.Text.RegularExpressions;
using Vfio.Tracing.Format;

namespace Vfio.Tracing;

/// <summary>The event that a trace begins or ends with.</summary>
public sealed partial class TraceTrigger
{
    private const string Examples = "bar0:0x14, bar0:0x14=0x1 (a write or read of that value), irq, reset, error, 1000 (events) or 5s";
    private readonly TraceEventKind[] _kinds = [];
    private readonly (uint Region, ulong First, ulong Last)? _place;
    private readonly ulong? _value;
    private readonly long? _count;
    private readonly ulong? _nanoseconds;

    private TraceTrigger(string text)
    {
        if (Time().Match(text) is { Success: true } time)
        {
            double scale = time.Groups["unit"].Value switch { "ms" => 1e6, "us" => 1e3, "s" => 1e9, _ => 0 };
            if (scale == 0)
                _count = long.Parse(time.Groups["number"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
            else
                _nanoseconds = (ulong)(long.Parse(time.Groups["number"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) * scale);
            return;
        }

        _kinds = text switch
        {
            "irq" => [TraceEventKind.Interrupt],
            "reset" => [TraceEventKind.Reset],
            "error" => [TraceEventKind.Error],
            _ => [TraceEventKind.Read, TraceEventKind.Write],
        };
        if (text is "irq" or "reset" or "error")
            return;
        string[] parts = text.Split('=', 2);
        try
        {
            _place = TraceFilter.ParsePlace(parts[0]);
            _value = parts.Length == 2 ? TraceFilter.Number(parts[1]) : null;
        }
        catch (FormatException)
        {
            throw new FormatException($"'{text}' is no event to begin or end with; write such as {Examples}");
        }
    }

    /// <summary>Reads a trigger: <c>bar0:0x14=0x1</c>, <c>irq</c>, <c>reset</c>, <c>error</c>, <c>1000</c> or <c>5s</c>.</summary>
    /// <param name="text">A register, perhaps with a value; an interrupt, a reset or an error; how many events, or how much time.</param>
    /// <exception cref="FormatException">It is none; the message says what is right.</exception>
    public static TraceTrigger Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new TraceTrigger(text);
    }

    /// <summary>Whether an event is it.</summary>
    /// <param name="record">The event.</param>
    /// <param name="count">How many events there were with it.</param>
    /// <param name="nanoseconds">How much time has passed.</param>
    internal bool IsMetBy(in TraceRecord record, long count, ulong nanoseconds) =>
        IsMetBy(new TraceEvent(record, default, 0), count, nanoseconds);

    /// <inheritdoc cref="IsMetBy(in TraceRecord, long, ulong)"/>
    internal bool IsMetBy(in TraceEvent one, long count, ulong nanoseconds)
    {
        if (_count is { } most)
            return count >= most;
        if (_nanoseconds is { } time)
            return nanoseconds >= time;
        if (!_kinds.Contains(one.Kind) && !(one.Error != Errno.None && _kinds.Contains(TraceEventKind.Error)))
            return false;
        return _place is not { } place || (place.Region == one.Number && one.Place >= place.First && one.Place <= place.Last
            && (_value is null || _value == one.Value));
    }

    [GeneratedRegex(@"^(?<number>\d{1,9})(?<unit>us|ms|s)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Time();
}
