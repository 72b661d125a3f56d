using Vfio.Cli.Bench;

namespace Vfio.Tests.Processes;

/// <summary>The percentiles of <c>vfio bench</c>, compared with those of all sorted times.</summary>
public sealed class LatencyHistogramTests
{
    [Fact]
    public void Percentiles_are_within_two_percent_of_the_sorted_times()
    {
        Random random = new(3);
        LatencyHistogram histogram = new();
        double[] times = [.. Enumerable.Range(0, 20_000).Select(_ => Math.Floor(Math.Exp(random.NextDouble() * 20)))];
        foreach (double time in times)
            histogram.Add((ulong)time);
        double[] sorted = [.. times.Order()];
        foreach (double part in (double[])[0.01, 0.5, 0.9, 0.99, 0.999, 1])
        {
            double exact = sorted[Math.Max(0, (int)Math.Ceiling(part * sorted.Length) - 1)];
            Assert.InRange(histogram.Percentile(part), exact * 0.98, exact * 1.02);
        }
    }

    [Fact]
    public void A_spread_counts_every_run_up_to_its_upper_end_once()
    {
        LatencyHistogram histogram = new();
        for (ulong microseconds = 1; microseconds <= 1000; microseconds++)
            histogram.Add(1000 * microseconds);
        long[] spread = histogram.Spread(1000, 1.1e6, 6);
        Assert.Equal(1000, spread.Sum());
        Assert.True(spread[5] > spread[0], "columns are wider towards the upper end");
    }
}
