using System.CommandLine;
using Vfio.Cli.Verbs;
using Vfio.Native;

namespace Vfio.Cli.Net;

/// <summary>When something that could go on for ever ends: after so many, or after a time, or when it is told to.</summary>
/// <param name="Count">How many; 0 for no limit.</param>
/// <param name="Time">How long; zero for no limit.</param>
/// <param name="Stop">Told to.</param>
internal readonly record struct RunLimits(long Count, TimeSpan Time, CancellationToken Stop)
{
    /// <summary>The longest sleep before <see cref="IsOver"/> is asked again.</summary>
    internal static readonly TimeSpan SleepTime = TimeSpan.FromMilliseconds(100);

    private const double LongestSeconds = 1e7;

    internal static Option<long> CountOption(string description) =>
        new Option<long>("--count", "-c") { Description = description }.Checked(count => count >= 0, "is from 0");

    internal static Option<double> SecondsOption() =>
        new Option<double>("--seconds", "-s") { Description = "End after so long; otherwise with Ctrl-C." }
            .Checked(seconds => seconds is > 0 and <= LongestSeconds, $"takes more than 0 and at most {LongestSeconds}");

    /// <summary>Whether it is over.</summary>
    /// <param name="done">How many there were.</param>
    /// <param name="end">What <see cref="Begin"/> gave.</param>
    internal bool IsOver(long done, Deadline end) =>
        Stop.IsCancellationRequested || (Count > 0 && done >= Count) || end.HasPassed;

    /// <summary>When its time is over, from now on.</summary>
    internal Deadline Begin() => Time > TimeSpan.Zero ? new Deadline(Time) : Deadline.Never;
}
