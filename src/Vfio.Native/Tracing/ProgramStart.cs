using Vfio.Native.Files;

namespace Vfio.Native.Tracing;

/// <summary>How to start a program that is to be supervised.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Arguments">Its arguments, its own name first.</param>
/// <param name="Environment">Its environment, as <c>NAME=value</c>.</param>
internal sealed record ProgramStart(string Path, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment)
{
    /// <summary>Its working directory; null for this process'.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Its standard input, output and error; null for this process'.</summary>
    public IReadOnlyList<FileDescriptor?> Standard { get; init; } = [null, null, null];
}
