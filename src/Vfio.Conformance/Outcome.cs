namespace Vfio.Conformance;

/// <summary>The verdict of a check, with its reason.</summary>
/// <param name="Verdict">The verdict.</param>
/// <param name="Reason">A clause without a full stop; may be empty for a pass.</param>
internal readonly record struct Outcome(Verdict Verdict, string Reason)
{
    /// <summary>The server does what the sentence requires.</summary>
    internal static Outcome Pass(string reason = "") => new(Verdict.Pass, reason);

    /// <summary>The server does something else that the specification leaves open.</summary>
    internal static Outcome Differs(string reason) => new(Verdict.Differs, reason);

    /// <summary>The check was not run.</summary>
    internal static Outcome Skipped(string reason) => new(Verdict.Skipped, reason);

    /// <summary>The server contradicts the sentence.</summary>
    internal static Outcome Violation(string reason) => new(Verdict.Violation, reason);
}
