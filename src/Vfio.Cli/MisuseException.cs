namespace Vfio.Cli;

/// <summary>The words of a command do not go together: one line that says what to write instead, and exit code 2.</summary>
/// <remarks>For rules between several words, which an action checks before it does anything else: only there has every word been found
/// right by itself.</remarks>
internal sealed class MisuseException(string message) : Exception(message);
