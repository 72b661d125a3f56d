using System.Diagnostics;

namespace Vfio.Cli.Demo;

/// <summary>This program, to be started once more: a file of its own, or an assembly that <c>dotnet</c> runs.</summary>
/// <param name="folder">Where it is.</param>
internal sealed class OwnProgram(string folder)
{
    private const string Assembly = "Vfio.Cli.dll";
    private static readonly string Name = Path.GetFileName(Environment.ProcessPath!);

    /// <summary>Where it runs from now.</summary>
    internal static OwnProgram Here { get; } = new(AppContext.BaseDirectory);

    private bool IsAssembly => File.Exists(Path.Combine(folder, Assembly));

    /// <summary>Copies what it needs to run.</summary>
    /// <param name="to">A folder that is there.</param>
    internal OwnProgram CopyTo(string to)
    {
        foreach (string file in IsAssembly ? Directory.EnumerateFiles(folder) : [Path.Combine(folder, Name)])
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        return new OwnProgram(to);
    }

    /// <summary>How to start it.</summary>
    /// <param name="words">The verb and its arguments.</param>
    internal ProcessStartInfo Start(params string[] words) => IsAssembly
        ? new ProcessStartInfo("dotnet", [Path.Combine(folder, Assembly), .. words])
        : new ProcessStartInfo(Path.Combine(folder, Name), words);
}
