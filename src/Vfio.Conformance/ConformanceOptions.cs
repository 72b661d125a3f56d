namespace Vfio.Conformance;

/// <summary>Which server, and how patiently.</summary>
public sealed record ConformanceOptions
{
    /// <summary>The server's socket.</summary>
    public required string Path { get; init; }

    /// <summary>How long the server may take for one answer, and to take the next client.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>A command for the shell that starts the server, for one that ends with its client; started whenever nobody listens.</summary>
    public string? ServerCommand { get; init; }

    /// <summary>Which checks; all when null.</summary>
    public Func<Check, bool>? Chosen { get; init; }
}
