using System.CommandLine;
using System.CommandLine.Invocation;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Cli.Output;

/// <summary>Prints the version, the commit that it was built from, and the runtime.</summary>
internal sealed class VersionAction : SynchronousCommandLineAction
{
    private const int CommitDigits = 12;

    /// <summary>The version alone: 0.2.0.</summary>
    internal static string Version => Full.Split('+', 2)[0];

    /// <summary>VERSION+COMMIT, or VERSION alone where the sources were in no repository.</summary>
    private static string Full { get; } =
        typeof(VersionAction).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        string[] parts = Full.Split('+', 2);
        string commit = parts.Length == 2 ? $"commit {parts[1][..Math.Min(CommitDigits, parts[1].Length)]}, " : "";
        string native = RuntimeFeature.IsDynamicCodeSupported ? "" : " native";
        string runtime = $"{RuntimeInformation.FrameworkDescription}{native}, {RuntimeInformation.RuntimeIdentifier}";
        parseResult.InvocationConfiguration.Output.WriteLine($"vfio {Version} ({commit}{runtime})");
        return 0;
    }
}
