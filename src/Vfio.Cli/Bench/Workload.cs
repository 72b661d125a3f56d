namespace Vfio.Cli.Bench;

/// <summary>Something to do with a device again and again, and to time.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Run">What is timed.</param>
internal sealed record Workload(string Name, Action Run)
{
    /// <summary>Operations in one run, where the time of one alone cannot be told.</summary>
    internal int Operations { get; init; } = 1;

    /// <summary>Bytes that one operation moves, where that is the point of it.</summary>
    internal int Bytes { get; init; }

    /// <summary>What has to be done before each run, and is not timed.</summary>
    internal Action? Before { get; init; }

    /// <summary>What has to be undone after each run, and is not timed.</summary>
    internal Action? After { get; init; }
}
