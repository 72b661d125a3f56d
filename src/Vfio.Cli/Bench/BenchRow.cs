namespace Vfio.Cli.Bench;

/// <summary>The result of one workload.</summary>
/// <param name="Name">The workload.</param>
internal sealed record BenchRow(string Name)
{
    /// <summary>Why the workload was not measured; null when it was.</summary>
    internal string? Skipped { get; init; }

    /// <summary>The times of its runs.</summary>
    internal LatencyHistogram Times { get; init; } = new();

    /// <summary>Operations in one run.</summary>
    internal int Operations { get; init; } = 1;

    /// <summary>Bytes of one operation; 0 where the rate in bytes does not matter.</summary>
    internal int Bytes { get; init; }

    /// <summary>Operations in a second, one after the other.</summary>
    internal double Rate => Times.Count * Operations / Math.Max(Times.Total / 1e9, 1e-9);

    /// <summary>Nanoseconds that one operation took in a part of the runs.</summary>
    internal double Percentile(double part) => Times.Percentile(part) / Operations;
}
