namespace Vfio.Conformance;

/// <summary>Which server, and how patiently.</summary>
public sealed record ConformanceOptions
{
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(1);

    /// <summary>The server's socket.</summary>
    public required string Path { get; init; }

    /// <summary>How long the server may take for one answer, and to take the next client: above zero, and at most a day, for some checks
    /// wait that long for nothing to come.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another time, or infinite.</exception>
    public TimeSpan Timeout
    {
        get;
        init => field = Validate(value, nameof(Timeout), "an answer");
    } = TimeSpan.FromSeconds(2);

    /// <summary>A command for the shell that starts the server, for one that ends with its client; started whenever nobody listens.</summary>
    public string? ServerCommand { get; init; }

    /// <summary>How long a server that ended with its client may take until the next one listens: above zero, and at most a day.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another time, or infinite.</exception>
    public TimeSpan RestartTimeout
    {
        get;
        init => field = Validate(value, nameof(RestartTimeout), "a restart");
    } = TimeSpan.FromSeconds(10);

    /// <summary>Ends the run after the wait of the moment: what was found until then is the report.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Which checks; all when null.</summary>
    public Func<Check, bool>? Chosen { get; init; }

    private static TimeSpan Validate(TimeSpan value, string name, string what) => value > TimeSpan.Zero && value <= LongestTimeout
        ? value
        : throw new ArgumentOutOfRangeException(name, value, $"{what} may take from more than zero to one day");
}
