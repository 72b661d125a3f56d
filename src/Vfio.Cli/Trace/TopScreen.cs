using System.Globalization;
using Vfio.Cli.Output;
using Vfio.Tracing;
using Vfio.Tracing.Text;

namespace Vfio.Cli.Trace;

/// <summary>Shows rates again and again: a screen in a terminal, lines elsewhere.</summary>
/// <param name="totals">What is counted.</param>
/// <param name="output">Where to.</param>
/// <param name="device">The device's address.</param>
internal sealed class TopScreen(TraceTotals totals, TextWriter output, string device)
{
    private const string Keys = "keys: r rate, t total, l latency, n name, f freeze, q quit";
    private static readonly Column[] Columns =
    [
        new("EVENT", false, false), new("WHAT", false, false), Column.Number("PER SECOND"), Column.Number("TOTAL"), Column.Number("BYTES/S"),
        Column.Number("MEAN"), Column.Number("LONGEST"),
    ];

    private readonly bool _isTerminal = output is PlainWriter { IsTerminal: true };
    private char _order = 'r';
    private bool _isFrozen;
    private List<TotalRow> _rows = [];
    private int _mappings;
    private double _seconds = 1;

    /// <summary>Shows until cancelled, or until the key for it.</summary>
    /// <param name="interval">How often.</param>
    /// <param name="cancellation">Ends it.</param>
    internal async Task RunAsync(TimeSpan interval, CancellationToken cancellation)
    {
        bool hasKeys = _isTerminal && !Console.IsInputRedirected;
        long begin = Environment.TickCount64, next = begin + (long)interval.TotalMilliseconds;
        while (!cancellation.IsCancellationRequested)
        {
            if (hasKeys && Console.KeyAvailable && !Press(Console.ReadKey(intercept: true).KeyChar))
                return;
            long now = Environment.TickCount64;
            if (now >= next)
            {
                _seconds = Math.Max(1, now - begin) / 1000.0;
                begin = now;
                next = now + (long)interval.TotalMilliseconds;
                List<TotalRow> rows = totals.Take(out int mappings);
                if (!_isFrozen)
                {
                    (_rows, _mappings) = (rows, mappings);
                    Show();
                }
            }

            await Task.Delay(hasKeys ? 50 : (int)Math.Max(1, next - now), cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Does what a key says.</summary>
    /// <returns>False for the end.</returns>
    internal bool Press(char key)
    {
        switch (char.ToLowerInvariant(key))
        {
            case 'q':
                return false;
            case 'f':
                _isFrozen = !_isFrozen;
                break;
            case 'r' or 't' or 'l' or 'n':
                _order = char.ToLowerInvariant(key);
                break;
            default:
                return true;
        }

        Show();
        return true;
    }

    /// <summary>Shows a new picture of what was counted in so many seconds.</summary>
    internal void Show(double seconds)
    {
        _seconds = seconds;
        _rows = totals.Take(out _mappings);
        Show();
    }

    private void Show()
    {
        IEnumerable<TotalRow> rows = _order switch
        {
            't' => _rows.OrderByDescending(row => row.Total),
            'l' => _rows.OrderByDescending(row => row.MeanNanoseconds),
            'n' => _rows.OrderBy(row => row.What, StringComparer.Ordinal),
            _ => _rows.OrderByDescending(row => row.Count).ThenByDescending(row => row.Total),
        };
        if (_isTerminal)
        {
            int room = Math.Max(1, (Console.WindowHeight is > 0 and int height ? height : 24) - 4);
            Terminal.Clear(output);
            output.WriteLine($"{device}: {_mappings} mappings{(_isFrozen ? ", frozen" : "")}; {Keys}");
            TextTable.Print(output, Columns, rows.Take(room).Select(Cells));
            return;
        }

        foreach (TotalRow row in rows.Where(row => row.Count > 0))
            output.WriteLine(string.Join(' ', Cells(row).Where(cell => cell.Length > 0)));
        output.WriteLine($"{device}: {_mappings} mappings");
    }

    private string[] Cells(TotalRow row) =>
    [
        TraceText.NameOf(row.Kind), row.What, string.Create(CultureInfo.InvariantCulture, $"{row.Count / _seconds:f0}/s"), $"{row.Total}",
        row.Kind is TraceEventKind.DmaRead or TraceEventKind.DmaWrite ? string.Create(CultureInfo.InvariantCulture, $"{row.Bytes / _seconds:f0}B/s") : "",
        Time(row.MeanNanoseconds), Time(row.LongestNanoseconds),
    ];

    private static string Time(long nanoseconds) => nanoseconds == 0 ? ""
        : string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1000.0:f1}us");
}
