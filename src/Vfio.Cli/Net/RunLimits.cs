using Vfio.Cli.Numbers;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Cli.Net;

/// <summary>When a command without an end of its own ends: after a count, after a time, or when it is cancelled.</summary>
/// <param name="Count">Most repetitions; 0 for no limit.</param>
/// <param name="Time">Longest time; zero for no limit.</param>
/// <param name="Stop">Cancelled to end it.</param>
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

    /// <summary>Whether a limit is reached.</summary>
    /// <param name="done">Repetitions so far.</param>
    /// <param name="end">The value that <see cref="Begin"/> returned.</param>
    internal bool IsOver(long done, Deadline end) =>
        Stop.IsCancellationRequested || (Count > 0 && done >= Count) || end.HasPassed;

    /// <summary>When its time is over, from now on.</summary>
    internal Deadline Begin() => Time > TimeSpan.Zero ? new Deadline(Time) : Deadline.Never;
}
