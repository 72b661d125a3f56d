using System.CommandLine;
using System.Diagnostics;

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
        NotNegative(new Option<long>("--count", "-c") { Description = description });

    internal static Option<double> SecondsOption()
    {
        Option<double> seconds = new("--seconds", "-s") { Description = "End after so long; otherwise with Ctrl-C." };
        seconds.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double>() is not (> 0 and <= LongestSeconds))
                result.AddError($"--seconds takes more than 0 and at most {LongestSeconds}.");
        });
        return seconds;
    }

    internal static Option<long> NotNegative(Option<long> option)
    {
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<long>() < 0)
                result.AddError($"{option.Name} is from 0.");
        });
        return option;
    }

    /// <summary>Whether it is over.</summary>
    /// <param name="done">How many there were.</param>
    /// <param name="start">Timestamp of the beginning.</param>
    internal bool IsOver(long done, long start) =>
        Stop.IsCancellationRequested || (Count > 0 && done >= Count) || (Time > TimeSpan.Zero && Stopwatch.GetElapsedTime(start) >= Time);
}
