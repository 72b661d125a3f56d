namespace Vfio.Cli.Bench;

/// <summary>An operation on a device that is repeated and timed.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Run">What is timed.</param>
internal sealed record Workload(string Name, Action Run)
{
    /// <summary>Operations in one run, where one alone is too short to time.</summary>
    internal int Operations { get; init; } = 1;

    /// <summary>Bytes that one operation moves; 0 where the rate in bytes does not matter.</summary>
    internal int Bytes { get; init; }

    /// <summary>What has to be done before each run, and is not timed.</summary>
    internal Action? Before { get; init; }

    /// <summary>What has to be undone after each run, and is not timed.</summary>
    internal Action? After { get; init; }
}
