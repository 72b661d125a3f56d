using Vfio.Cli.Numbers;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Cli.Net;

/// <summary>When something that could go on for ever ends: after so many, or after a time, or when it is told to.</summary>
/// <param name="Count">How many; 0 for no limit.</param>
/// <param name="Time">How long; zero for no limit.</param>
/// <param name="Stop">Told to.</param>
internal readonly record struct RunLimits(long Count, TimeSpan Time, CancellationToken Stop)
{
    /// <summary>The longest sleep before <see cref="IsOver"/> is asked again.</summary>
    internal static readonly TimeSpan SleepTime = TimeSpan.FromMilliseconds(100);

    private const long MaxCount = 1_000_000_000_000;

    internal static NumberOption<long> CountOption(string description) =>
        new("--count", NumberRules.Count(0, MaxCount, 10), 0, $"{description.TrimEnd('.')}; 0 for no end.", "-c");

    internal static OptionalNumberOption<Duration> SecondsOption() => new(
        "--seconds", NumberRules.Time(Duration.Milliseconds(1), Duration.Days(100), Duration.Seconds(60)),
        "End after so long; otherwise with Ctrl-C.", "-s");

    /// <summary>Whether it is over.</summary>
    /// <param name="done">How many there were.</param>
    /// <param name="end">What <see cref="Begin"/> gave.</param>
    internal bool IsOver(long done, Deadline end) =>
        Stop.IsCancellationRequested || (Count > 0 && done >= Count) || end.HasPassed;

    /// <summary>When its time is over, from now on.</summary>
    internal Deadline Begin() => Time > TimeSpan.Zero ? new Deadline(Time) : Deadline.Never;
}
