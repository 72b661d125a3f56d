using System.Diagnostics;

namespace Vfio.Cli.Bench;

/// <summary>Runs workloads for a while each.</summary>
/// <param name="time">How long each is timed; a quarter of that goes before, to warm up.</param>
/// <param name="progress">Called with the name of each workload before it runs.</param>
internal sealed class BenchRunner(TimeSpan time, Action<string> progress)
{
    private const int FewestRuns = 5;
    private static readonly double NanosecondsPerTick = 1e9 / Stopwatch.Frequency;

    /// <summary>Times a workload; one that the device refuses becomes a row that says so.</summary>
    internal BenchRow Run(Workload workload, CancellationToken cancellation)
    {
        progress(workload.Name);
        BenchRow row = new(workload.Name) { Operations = workload.Operations, Bytes = workload.Bytes };
        try
        {
            Repeat(workload, time / 4, null, cancellation);
            Repeat(workload, time, row.Times, cancellation);
            return row;
        }
        catch (Exception refusal) when (refusal is VfioException or TimeoutException)
        {
            return new BenchRow(workload.Name) { Skipped = refusal.Message.ReplaceLineEndings(" ") };
        }
    }

    private static void Repeat(Workload workload, TimeSpan time, LatencyHistogram? times, CancellationToken cancellation)
    {
        long begin = Stopwatch.GetTimestamp();
        for (int runs = 0; runs < FewestRuns || Stopwatch.GetElapsedTime(begin) < time; runs++)
        {
            cancellation.ThrowIfCancellationRequested();
            workload.Before?.Invoke();
            long start = Stopwatch.GetTimestamp();
            workload.Run();
            long took = Stopwatch.GetTimestamp() - start;
            workload.After?.Invoke();
            times?.Add((ulong)(took * NanosecondsPerTick));
        }
    }
}
