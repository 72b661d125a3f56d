namespace Vfio.Conformance;

/// <summary>What one check found at one server.</summary>
/// <param name="Check">Which.</param>
/// <param name="Outcome">The verdict and its reason.</param>
/// <param name="Exchange">What was sent and what came back, in order.</param>
/// <param name="Time">How long it took.</param>
public sealed record CheckResult(Check Check, Outcome Outcome, IReadOnlyList<LoggedMessage> Exchange, TimeSpan Time);
