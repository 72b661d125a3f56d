namespace Vfio.Conformance;

/// <summary>What all checks found at one server.</summary>
/// <param name="Path">The server's socket.</param>
/// <param name="Results">One for each check that was tried, in order.</param>
public sealed record ConformanceReport(string Path, IReadOnlyList<CheckResult> Results)
{
    /// <summary>Checks that were chosen and not tried, since the run was cancelled.</summary>
    public IReadOnlyList<Check> Untried { get; init; } = [];

    /// <summary>Whether all checks were tried, and none found a violation.</summary>
    public bool Conforms => Untried.Count == 0 && Count(Verdict.Violation) == 0;

    /// <summary>How many checks ended with a verdict.</summary>
    public int Count(Verdict verdict) => Results.Count(result => result.Outcome.Verdict == verdict);
}
