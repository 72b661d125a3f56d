using System.CommandLine;
using System.Diagnostics;
using Vfio.Cli.Verbs;

namespace Vfio.Cli.Net;

/// <summary>When something that could go on for ever ends: after so many, or after a time, or when it is told to.</summary>
/// <param name="Count">How many; 0 for no limit.</param>
/// <param name="Time">How long; zero for no limit.</param>
/// <param name="Stop">Told to.</param>
internal readonly record struct RunLimits(long Count, TimeSpan Time, CancellationToken Stop)
{
    /// <summary>The longest time that nobody looks whether it is over.</summary>
    internal static readonly TimeSpan Nap = TimeSpan.FromMilliseconds(100);

    private const double LongestSeconds = 1e7;

    internal static Option<long> CountOption(string description) =>
        new Option<long>("--count", "-c") { Description = description }.Checked(count => count >= 0, "is from 0");

    internal static Option<double> SecondsOption() =>
        new Option<double>("--seconds", "-s") { Description = "End after so long; otherwise with Ctrl-C." }
            .Checked(seconds => seconds is > 0 and <= LongestSeconds, $"takes more than 0 and at most {LongestSeconds}");

    /// <summary>Whether it is over.</summary>
    /// <param name="done">How many there were.</param>
    /// <param name="start">Timestamp of the beginning.</param>
    internal bool IsOver(long done, long start) =>
        Stop.IsCancellationRequested || (Count > 0 && done >= Count) || (Time > TimeSpan.Zero && Stopwatch.GetElapsedTime(start) >= Time);
}
