namespace Vfio.Conformance;

/// <summary>The results of all checks of one server.</summary>
/// <param name="Path">The server's socket.</param>
/// <param name="Results">One for each check that was run, in order.</param>
public sealed record ConformanceReport(string Path, IReadOnlyList<CheckResult> Results)
{
    /// <summary>Checks that were selected and not run, because the run was cancelled.</summary>
    public IReadOnlyList<Check> Untried { get; init; } = [];

    /// <summary>Whether all checks were run, and none found a violation.</summary>
    public bool Conforms => Untried.Count == 0 && Count(Verdict.Violation) == 0;

    /// <summary>Number of checks with a verdict.</summary>
    public int Count(Verdict verdict) => Results.Count(result => result.Verdict == verdict);
}
