namespace Vfio.Cli;

/// <summary>Options or arguments cannot be combined: one line that says what to write instead, and exit code 2.</summary>
internal sealed class MisuseException(string message) : Exception(message);
