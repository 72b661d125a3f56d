namespace Vfio.Conformance;

/// <summary>The result of one check of one server.</summary>
public sealed class CheckResult
{
    internal CheckResult(Check check, Outcome outcome, IReadOnlyList<LoggedMessage> exchange, TimeSpan time)
    {
        Check = check;
        Outcome = outcome;
        Exchange = exchange;
        Time = time;
    }

    /// <summary>The check.</summary>
    public Check Check { get; }

    /// <summary>The verdict.</summary>
    public Verdict Verdict => Outcome.Verdict;

    /// <summary>Why, a clause without a full stop; may be empty for a pass.</summary>
    public string Reason => Outcome.Reason;

    /// <summary>Duration of the check.</summary>
    public TimeSpan Time { get; }

    /// <summary>The verdict and its reason.</summary>
    internal Outcome Outcome { get; }

    /// <summary>The messages sent and received, in order.</summary>
    internal IReadOnlyList<LoggedMessage> Exchange { get; }
}
