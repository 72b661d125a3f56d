using System.Globalization;
using Vfio.Cli.Output;

namespace Vfio.Cli.Bench;

/// <summary>The measurements as a table or as JSON.</summary>
internal static class BenchReport
{
    private const int Columns = 12;
    private const double Last = 0.999;
    private static readonly Column[] Headings =
    ["OPERATION", Column.Number("P50"), Column.Number("P99"), Column.Number("P99.9"), Column.Number("RATE"), Column.Number("RUNS"), "FROM FASTEST TO P99.9"];
    private static readonly char[] Bars = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

    /// <summary>Writes a table; below it the workloads that were left out, with the reason.</summary>
    internal static void Print(TextWriter output, IReadOnlyList<BenchRow> rows)
    {
        TextTable.Print(output, Headings, rows.Where(row => row.Skipped is null).Select(Cells));
        foreach (BenchRow row in rows.Where(row => row.Skipped is not null))
            output.WriteLine($"{row.Name}: left out: {row.Skipped}");
    }

    /// <summary>Times in nanoseconds, rates in operations a second.</summary>
    internal static void PrintJson(TextWriter output, string device, IReadOnlyList<BenchRow> rows) => Json.Print(output, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("device", device);
        writer.WriteStartArray("operations");
        foreach (BenchRow row in rows)
        {
            writer.WriteStartObject();
            writer.WriteString("name", row.Name);
            if (row.Skipped is not null)
            {
                writer.WriteString("skipped", row.Skipped);
            }
            else
            {
                writer.WriteNumber("p50", Math.Round(row.Percentile(0.5), 1));
                writer.WriteNumber("p99", Math.Round(row.Percentile(0.99), 1));
                writer.WriteNumber("p999", Math.Round(row.Percentile(Last), 1));
                writer.WriteNumber("rate", Math.Round(row.Rate, 1));
                writer.WriteNumber("runs", row.Times.Count);
                if (row.Bytes > 0)
                    writer.WriteNumber("bytesPerSecond", Math.Round(row.Rate * row.Bytes));
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    private static string[] Cells(BenchRow row) =>
    [
        row.Name,
        Units.Time(row.Percentile(0.5)),
        Units.Time(row.Percentile(0.99)),
        Units.Time(row.Percentile(Last)),
        row.Bytes > 0 ? Units.Rate(row.Rate * row.Bytes, "B") : Units.Rate(row.Rate),
        row.Times.Count.ToString(CultureInfo.InvariantCulture),
        Draw(row.Times),
    ];

    private static string Draw(LatencyHistogram times)
    {
        long[] spread = times.Spread(times.Percentile(0), times.Percentile(Last), Columns);
        long most = spread.Max();

        // A column with anything in it is seen.
        return string.Concat(spread.Select(count => Bars[count == 0 ? 0 : Math.Max(1, (int)(count * (Bars.Length - 1) / most))]));
    }
}
