namespace Vfio.Tracing.Text;

/// <summary>Counts events by what they are about, for who shows rates.</summary>
/// <remarks>One thread adds, another takes.</remarks>
internal sealed class TraceTotals
{
    /// <summary>More different places than these are counted together: a driver that accesses every byte of a BAR must not fill
    /// memory.</summary>
    internal const int MostRows = 4096;

    private readonly Lock _lock = new();
    private readonly Dictionary<(TraceEventKind Kind, uint Number, ulong Place), Row> _rows = [];

    // By session, how often a place is mapped: a refused mapping may be where there is one.
    private readonly Dictionary<int, Dictionary<ulong, int>> _mapped = [];
    private int _mappings;

    /// <summary>Counts an event.</summary>
    internal void Add(TraceEvent one, RegisterNames names)
    {
        lock (_lock)
        {
            switch (one.Kind)
            {
                case TraceEventKind.Read or TraceEventKind.Write:
                    Count(one, one.Kind, one.Number, one.Place, names);
                    break;
                case TraceEventKind.Interrupt:
                    Count(one, one.Kind, one.Number, one.Place, names);
                    break;
                case TraceEventKind.DmaRead or TraceEventKind.DmaWrite or TraceEventKind.SetInterrupts or TraceEventKind.Reset:
                    Count(one, one.Kind, 0, 0, names);
                    break;
                case TraceEventKind.Error:
                    if (one.Value == (ulong)TraceEventKind.Map)
                        Map(one);
                    Count(one, one.Kind, one.Number, one.Place, names);
                    break;
                case TraceEventKind.Map or TraceEventKind.Unmap or TraceEventKind.UnmapAll or TraceEventKind.Close:
                    Map(one);
                    if (one.Kind != TraceEventKind.Close)
                        Count(one, one.Kind, 0, 0, names);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>Takes what was counted since the last time; what there was none of has a count of 0.</summary>
    /// <param name="mappings">How many ranges of memory are mapped.</param>
    internal List<TotalRow> Take(out int mappings)
    {
        lock (_lock)
        {
            mappings = _mappings;
            List<TotalRow> rows = [];
            foreach (((TraceEventKind kind, _, _), Row row) in _rows)
            {
                rows.Add(new TotalRow(kind, row.What, row.Count, row.Total += row.Count, row.Bytes, row.Timed == 0 ? 0 : row.Nanoseconds / row.Timed, row.Longest));
                (row.Count, row.Bytes, row.Nanoseconds, row.Timed) = (0, 0, 0, 0);
            }

            return rows;
        }
    }

    private void Count(in TraceEvent one, TraceEventKind kind, uint number, ulong place, RegisterNames names)
    {
        if (!_rows.TryGetValue((kind, number, place), out Row? row))
        {
            if (_rows.Count >= MostRows)
                (number, place) = (uint.MaxValue, ulong.MaxValue);
            if (!_rows.TryGetValue((kind, number, place), out row))
                _rows.Add((kind, number, place), row = new Row(number == uint.MaxValue ? "elsewhere" : Name(one, names)));
        }

        row.Count++;
        row.Bytes += one.Length;
        if (one.DurationNanoseconds > 0)
        {
            row.Timed++;
            row.Nanoseconds += one.DurationNanoseconds;
            row.Longest = Math.Max(row.Longest, one.DurationNanoseconds);
        }
    }

    private static string Name(in TraceEvent one, RegisterNames names) => one.Kind switch
    {
        TraceEventKind.Read or TraceEventKind.Write => TraceText.Register(one.Region, one.Place, names),
        TraceEventKind.Interrupt => $"{one.Interrupt} {one.Place}",
        TraceEventKind.Error => TraceText.What(one, names)[TraceText.NameOf(TraceEventKind.Error).Length..].TrimStart(),
        _ => "memory",
    };

    private void Map(in TraceEvent one)
    {
        _mapped.TryGetValue(one.Session, out Dictionary<ulong, int>? mapped);
        switch (one.Kind)
        {
            case TraceEventKind.Map when _mappings < ushort.MaxValue:
                if (mapped is null)
                    _mapped.Add(one.Session, mapped = []);
                int times = mapped.GetValueOrDefault(one.Place);
                mapped[one.Place] = times + 1;
                _mappings += times == 0 ? 1 : 0;
                break;
            case TraceEventKind.Error when mapped?.GetValueOrDefault(one.Place) > 1:
                mapped[one.Place]--;
                break;
            case TraceEventKind.Unmap or TraceEventKind.Error when mapped?.Remove(one.Place) == true:
                _mappings--;
                break;
            case TraceEventKind.UnmapAll or TraceEventKind.Close when _mapped.Remove(one.Session):
                _mappings -= mapped!.Count;
                break;
            default:
                break;
        }
    }

    private sealed class Row(string what)
    {
        internal string What => what;

        internal long Count { get; set; }

        internal long Total { get; set; }

        internal long Bytes { get; set; }

        internal long Timed { get; set; }

        internal long Nanoseconds { get; set; }

        internal long Longest { get; set; }
    }
}

/// <summary>What was counted of one place.</summary>
/// <param name="Kind">Of which events.</param>
/// <param name="What">The place, with its name.</param>
/// <param name="Count">How many there were.</param>
/// <param name="Total">How many since the begin.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="MeanNanoseconds">How long one took; 0 where that is not measured.</param>
/// <param name="LongestNanoseconds">How long the longest since the begin took.</param>
internal readonly record struct TotalRow(
    TraceEventKind Kind, string What, long Count, long Total, long Bytes, long MeanNanoseconds, long LongestNanoseconds);
