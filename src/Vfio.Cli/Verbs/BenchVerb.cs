using System.CommandLine;
using Vfio.Cli.Bench;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.User;
using Vfio.User.Wire;
using Command = System.CommandLine.Command;

namespace Vfio.Cli.Verbs;

/// <summary>Measures a device's latencies and rates.</summary>
internal sealed class BenchVerb() : Verb("bench", "Measure a device: registers, memory, DMA maps, interrupts, connecting.")
{
    private static readonly string[] Rows = ["read", "write", "pipelined", "multi", "posted", "config", "mapped", "dma", "interrupt", "connect"];

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio bench model:bench", "the cost of the guard and a model, in this process"),
        new("vfio bench unix:/run/x.sock", "the same through a socket, with any server"),
        new("vfio bench unix:/run/x.sock --only read,connect --seconds 5", "two rows, 5 s each"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        NumberOption<Duration> seconds = new(
            "--seconds", NumberRules.Time(Duration.Milliseconds(1), Duration.Seconds(3600), Duration.Seconds(5)), Duration.Milliseconds(500),
            "How long each row is measured.");
        Option<string?> only = new("--only") { HelpName = "rows", Description = $"Only these rows, by their first word: {string.Join(',', Rows)}." };
        Option<bool> json = SharedOptions.Json();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.Add(seconds);
        command.Add(only);
        command.Add(json);
        command.SetAction((parsed, cancellation) =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            string[]? wanted = parsed.GetValue(only)?.Split(',', StringSplitOptions.TrimEntries);
            if (wanted?.FirstOrDefault(word => !Rows.Contains(word, StringComparer.OrdinalIgnoreCase)) is { } unknown)
                throw new MisuseException($"--only takes {string.Join(", ", Rows)}, not '{unknown}'.");
            using DeviceSource source = DeviceSource.Find(parsed.GetValue(address)!, parsed.OpenOptions(timeout));
            BenchRunner runner = new(parsed.GetValue(seconds), row => StatusLine.Show($"measuring {row}"));
            List<BenchRow> rows = Measure(source, parsed.GetValue(timeout), runner, row => wanted?.Contains(row.Split(' ')[0], StringComparer.OrdinalIgnoreCase) ?? true, cancellation);
            StatusLine.Show(null);
            if (parsed.GetValue(json))
                BenchReport.PrintJson(output, source.Address.Text, rows);
            else
                BenchReport.Print(output, rows);
            return Task.FromResult(0);
        });
    }

    private static List<BenchRow> Measure(
        DeviceSource source, TimeSpan timeout, BenchRunner runner, Predicate<string> isWanted, CancellationToken cancellation)
    {
        List<BenchRow> rows = [];
        using (IVfioDevice device = source.Open())
        {
            using DeviceWorkloads workloads = new(device);
            foreach ((Workload? workload, BenchRow? skipped) in workloads.All())
            {
                if (isWanted(workload?.Name ?? skipped!.Name))
                    rows.Add(workload is null ? skipped! : runner.Run(workload, cancellation));
            }
        }

        if (isWanted("posted"))
            rows.Insert(Math.Min(2, rows.Count), Post(source, timeout, runner, cancellation));
        if (isWanted("connect"))
            rows.Add(runner.Run(new Workload("connect", () => source.Open().Dispose()), cancellation));
        return rows;
    }

    private static BenchRow Post(DeviceSource source, TimeSpan timeout, BenchRunner runner, CancellationToken cancellation)
    {
        if (source.Address.Scheme != AddressScheme.Unix)
            return new BenchRow("posted write") { Skipped = "only servers can be sent what they need not answer" };
        VfioUserClientOptions options = new() { PostedWrites = true, Timeout = source.Address.Timeout ?? timeout };
        using VfioUserClient client = VfioUserClient.Connect(source.Address.Place, options);
        using DeviceWorkloads workloads = new(client);
        return runner.Run(workloads.PostedWrites(), cancellation);
    }
}
