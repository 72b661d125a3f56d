using System.CommandLine;
using System.Globalization;
using Vfio.Cli.Bench;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Nvme;

namespace Vfio.Cli.Nvme;

/// <summary>Measures random reads.</summary>
internal static class BenchCommand
{
    // A queue of NVMe has up to 65,536 places, of which one stays empty.
    private const int MaxDepth = 65535;

    private static readonly (string Name, double Share)[] Percentiles =
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("bench", "Measure random reads of 4 KiB; writes nothing.");
        NumberOption<int> depth = new("--depth", NumberRules.Count(1, MaxDepth, 32), 32, "How many reads are in flight.", "-d");
        NumberOption<Duration> seconds = new(
            "--seconds", NumberRules.Time(Duration.Milliseconds(1), Duration.Days(1), Duration.Seconds(10)), Duration.Seconds(5),
            "How long to measure.", "-s");
        Option<bool> interrupts = new("--interrupts") { Description = "Sleep until the disk interrupts, instead of polling." };
        NumberOption<uint> id = NvmeArguments.Namespace();
        Option<bool> json = SharedOptions.Json();
        command.Add(depth);
        command.Add(seconds);
        command.Add(interrupts);
        command.Add(id);
        command.Add(json);
        command.SetAction(parsed =>
        {
            using NvmeController controller = NvmeArguments.Open(parsed.GetValue(address)!, parsed.OpenOptions(timeout));
            int wanted = parsed.GetValue(depth);
            if (wanted > controller.MaxDepth)
            {
                throw new VfioException(
                    $"bench with {wanted} reads in flight", controller.Name, Errno.InvalidArgument,
                    $"its queues hold {controller.MaxDepth}");
            }

            TimeSpan duration = parsed.GetValue(seconds);
            using RandomReads reads = new(controller.FindNamespace(parsed.GetValue(id)), wanted, parsed.GetValue(interrupts));
            using (Progress progress = new("bench", (long)duration.TotalMilliseconds))
                reads.Run(duration, progress);
            Print(parsed.InvocationConfiguration.Output, reads, wanted, parsed.GetValue(interrupts), parsed.GetValue(json));
        });
        return command;
    }

    private static void Print(TextWriter output, RandomReads reads, int depth, bool interrupts, bool json)
    {
        LatencyHistogram times = reads.Nanoseconds;
        double rate = times.Count / reads.Elapsed.TotalSeconds;
        double cpu = reads.CpuTime.TotalMicroseconds / times.Count;
        if (json)
        {
            Json.Print(output, writer =>
            {
                writer.WriteStartObject();
                writer.WriteNumber("depth", depth);
                writer.WriteBoolean("interrupts", interrupts);
                writer.WriteNumber("seconds", reads.Elapsed.TotalSeconds);
                writer.WriteNumber("reads", times.Count);
                writer.WriteNumber("readsPerSecond", rate);
                writer.WriteNumber("cpuMicrosecondsPerRead", cpu);
                writer.WriteStartObject("latencyNanoseconds");
                foreach ((string name, double share) in Percentiles)
                    writer.WriteNumber(name, (long)times.Percentile(share));
                writer.WriteNumber("max", times.Longest);
                writer.WriteEndObject();
                writer.WriteEndObject();
            });
            return;
        }

        output.WriteLine(
            $"{times.Count} random reads of {RandomReads.ReadBytes} bytes in {Number(reads.Elapsed.TotalSeconds)} s, " +
            $"{depth} in flight, {(interrupts ? "by interrupt" : "polled")}");
        output.WriteLine($"{Units.Rate(rate)} reads, {Units.Rate(rate * RandomReads.ReadBytes, "B")}, {Number(cpu)} us of CPU time a read");
        TextTable.Print(
            output,
            [.. Percentiles.Select(one => Column.Number(one.Name.ToUpperInvariant())), Column.Number("MAX")],
            [[.. Percentiles.Select(one => Units.Time(times.Percentile(one.Share))), Units.Time(times.Longest)]]);
    }

    private static string Number(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);
}
