namespace Vfio.Conformance;

/// <summary>The server to check, the checks, and timeouts.</summary>
public sealed record ConformanceOptions
{
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(1);

    /// <summary>The server's socket.</summary>
    public required string Path { get; init; }

    /// <summary>Timeout of one answer, and of the server's accepting the next client: above zero, and at most a day. Some checks wait this long
    /// for a message that must not come.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another time, or infinite.</exception>
    public TimeSpan Timeout
    {
        get;
        init => field = Validate(value, nameof(Timeout), "an answer");
    } = TimeSpan.FromSeconds(2);

    /// <summary>A shell command that starts a server that exits with its client; it is run whenever no server listens.</summary>
    public string? ServerCommand { get; init; }

    /// <summary>How long a server that ended with its client may take until the next one listens: above zero, and at most a day.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another time, or infinite.</exception>
    public TimeSpan RestartTimeout
    {
        get;
        init => field = Validate(value, nameof(RestartTimeout), "a restart");
    } = TimeSpan.FromSeconds(10);

    /// <summary>Ends the run after the present wait; the report then has the results so far.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Selects checks; null for all.</summary>
    public Func<Check, bool>? Chosen { get; init; }

    private static TimeSpan Validate(TimeSpan value, string name, string what) => value > TimeSpan.Zero && value <= LongestTimeout
        ? value
        : throw new ArgumentOutOfRangeException(name, value, $"{what} may take from more than zero to one day");
}
