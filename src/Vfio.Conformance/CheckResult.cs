namespace Vfio.Conformance;

/// <summary>The result of one check of one server.</summary>
/// <param name="Check">The check.</param>
/// <param name="Outcome">The verdict and its reason.</param>
/// <param name="Exchange">The messages sent and received, in order.</param>
/// <param name="Time">Duration of the check.</param>
public sealed record CheckResult(Check Check, Outcome Outcome, IReadOnlyList<LoggedMessage> Exchange, TimeSpan Time);
