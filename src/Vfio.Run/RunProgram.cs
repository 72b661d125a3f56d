using Vfio.Native;

namespace Vfio.Run;

/// <summary>A program to run.</summary>
/// <param name="Name">Its file; a name without a slash is looked for in PATH.</param>
/// <param name="Arguments">Its arguments, without its name.</param>
public sealed record RunProgram(string Name, params IReadOnlyList<string> Arguments)
{
    /// <summary>Its working directory; null for this process'.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Variables that it has besides this process'; null removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>Its standard input; null for this process'. It stays its owner's.</summary>
    public FileDescriptor? StandardInput { get; init; }

    /// <summary>Its standard output; null for this process'. It stays its owner's.</summary>
    public FileDescriptor? StandardOutput { get; init; }

    /// <summary>Its standard error; null for this process'. It stays its owner's.</summary>
    public FileDescriptor? StandardError { get; init; }
}
