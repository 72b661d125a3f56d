namespace Vfio.Conformance;

/// <summary>What all checks found at one server.</summary>
/// <param name="Path">The server's socket.</param>
/// <param name="Results">One for each check that was chosen, in order.</param>
public sealed record ConformanceReport(string Path, IReadOnlyList<CheckResult> Results)
{
    /// <summary>Whether no check found a violation.</summary>
    public bool Conforms => Count(Verdict.Violation) == 0;

    /// <summary>How many checks ended with a verdict.</summary>
    public int Count(Verdict verdict) => Results.Count(result => result.Outcome.Verdict == verdict);
}
