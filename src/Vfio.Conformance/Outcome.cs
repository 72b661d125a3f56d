namespace Vfio.Conformance;

/// <summary>The verdict of a check, with its reason.</summary>
/// <param name="Verdict">The verdict.</param>
/// <param name="Reason">A clause without a full stop; may be empty for a pass.</param>
public readonly record struct Outcome(Verdict Verdict, string Reason)
{
    /// <summary>As the sentence asks.</summary>
    internal static Outcome Pass(string reason = "") => new(Verdict.Pass, reason);

    /// <summary>Otherwise than the sentence asks, where there is room for it.</summary>
    internal static Outcome Differs(string reason) => new(Verdict.Differs, reason);

    /// <summary>Not tried.</summary>
    internal static Outcome Skipped(string reason) => new(Verdict.Skipped, reason);

    /// <summary>Against the sentence.</summary>
    internal static Outcome Violation(string reason) => new(Verdict.Violation, reason);
}
