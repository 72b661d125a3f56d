using System.Diagnostics;
using Vfio.Cli.Numbers;

namespace Vfio.Cli.Net;

/// <summary>When something that could go on for ever ends: after so many, or after a time, or when it is told to.</summary>
/// <param name="Count">How many; 0 for no limit.</param>
/// <param name="Time">How long; zero for no limit.</param>
/// <param name="Stop">Told to.</param>
internal readonly record struct RunLimits(long Count, TimeSpan Time, CancellationToken Stop)
{
    /// <summary>The longest time that nobody looks whether it is over.</summary>
    internal static readonly TimeSpan Nap = TimeSpan.FromMilliseconds(100);

    private const long MaxCount = 1_000_000_000_000;

    internal static NumberOption<long> CountOption(string description) =>
        new("--count", NumberRules.Count(0, MaxCount, 10), 0, $"{description.TrimEnd('.')}; 0 for no end.", "-c");

    internal static OptionalNumberOption<Duration> SecondsOption() => new(
        "--seconds", NumberRules.Time(Duration.Milliseconds(1), Duration.Days(100), Duration.Seconds(60)),
        "End after so long; otherwise with Ctrl-C.", "-s");

    /// <summary>Whether it is over.</summary>
    /// <param name="done">How many there were.</param>
    /// <param name="start">Timestamp of the beginning.</param>
    internal bool IsOver(long done, long start) =>
        Stop.IsCancellationRequested || (Count > 0 && done >= Count) || (Time > TimeSpan.Zero && Stopwatch.GetElapsedTime(start) >= Time);
}
