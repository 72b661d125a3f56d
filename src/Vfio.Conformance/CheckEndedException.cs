namespace Vfio.Conformance;

/// <summary>Ends a check from inside a helper, with its outcome.</summary>
/// <remarks>It keeps error handling out of the checks.</remarks>
internal sealed class CheckEndedException(Outcome outcome) : Exception(outcome.Reason)
{
    /// <summary>The outcome.</summary>
    internal Outcome Outcome => outcome;

    /// <summary>The server contradicts the specification.</summary>
    internal static CheckEndedException Violation(string reason) => new(Outcome.Violation(reason));

    /// <summary>The check does not apply to this server.</summary>
    internal static CheckEndedException Skip(string reason) => new(Outcome.Skipped(reason));
}
