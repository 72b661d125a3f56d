namespace Vfio.Conformance;

/// <summary>Ends a check from inside a helper, with its outcome.</summary>
/// <remarks>So that a check reads as the conversation that it holds, and not as the ways in which each line of it may fail.</remarks>
internal sealed class CheckEndedException(Outcome outcome) : Exception(outcome.Reason)
{
    /// <summary>What was found.</summary>
    internal Outcome Outcome => outcome;

    /// <summary>The server contradicts the specification.</summary>
    internal static CheckEndedException Violation(string reason) => new(Outcome.Violation(reason));

    /// <summary>The check cannot be tried here.</summary>
    internal static CheckEndedException Skip(string reason) => new(Outcome.Skipped(reason));
}
