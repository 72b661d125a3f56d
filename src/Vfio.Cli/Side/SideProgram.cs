using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Cli.Side;

/// <summary>A program of its own that does one verb: what it needs would make this command large, or is not on every machine.</summary>
/// <param name="Verb">The verb that it does.</param>
/// <param name="Name">Its file's name; also its command as a .NET tool.</param>
/// <param name="Package">Its project and its package, and so the name of its assembly.</param>
internal sealed record SideProgram(string Verb, string Name, string Package)
{
    /// <summary>The page in the browser.</summary>
    internal static readonly SideProgram Web = new("web", "vfio-web", "Vfio.Web");

    private const string Host = "dotnet";

    /// <summary>This process becomes the program: same number, terminal and signals.</summary>
    /// <param name="words">The arguments after the verb.</param>
    /// <exception cref="VfioException">ENOENT: it is not where it is looked for; or it cannot be started.</exception>
    internal void Become(IReadOnlyList<string> words)
    {
        string own = Environment.ProcessPath ?? "";
        string[] start = Find(own, AppContext.BaseDirectory) ?? throw new VfioException(
            $"starting 'vfio {Verb}'", Name, Errno.NoEntry,
            $"it is a program of its own, looked for in {Path.GetDirectoryName(own)}: install it with 'dotnet tool install --global {Package}', or make it with './publish {Name}'");
        Errno errno = ProcessCalls.Become(start[0], [.. start, .. words]);
        throw new VfioException("starting", start[^1], errno, "check that it may be executed");
    }

    /// <summary>Finds it: beside this program's file; beside its assembly; or where a checkout has built it.</summary>
    /// <param name="own">The file of this process: the command's, or that of <c>dotnet</c>, which runs its assembly.</param>
    /// <param name="folder">Where this program's assembly is.</param>
    /// <returns>What to start, and the first words; null where it is not there.</returns>
    internal string[]? Find(string own, string folder)
    {
        bool isHosted = Path.GetFileName(own) == Host;
        if (!isHosted && Path.GetDirectoryName(own) is { Length: > 0 } beside && Path.Combine(beside, Name) is var file && File.Exists(file))
            return [file];
        string[] places = [folder, CheckoutFolder(folder)];
        string? assembly = places.Where(place => place.Length > 0).Select(place => Path.Combine(place, $"{Package}.dll")).FirstOrDefault(File.Exists);
        return assembly is null || HostOf(own, isHosted) is not { } host ? null : [host, assembly];
    }

    /// <summary>From src/Vfio.Cli/bin/Release/net10.0 to the same of the other project; empty for any other folder.</summary>
    private string CheckoutFolder(string folder)
    {
        string[] parts = Path.TrimEndingDirectorySeparator(folder).Split(Path.DirectorySeparatorChar);
        return parts is [.., "src", "Vfio.Cli", "bin", var configuration, var framework]
            ? string.Join(Path.DirectorySeparatorChar, [.. parts[..^4], Package, "bin", configuration, framework])
            : "";
    }

    /// <summary>What runs an assembly: the <c>dotnet</c> that runs this one or, for a native file, the first in PATH.</summary>
    private static string? HostOf(string own, bool isHosted)
    {
        if (isHosted)
            return own;

        // A tool has a file of its own, and its runtime is in shared/Microsoft.NETCore.App/VERSION/ below dotnet.
        string runtime = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", Host));
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        return folders.Where(Path.IsPathRooted).Select(folder => Path.Combine(folder, Host)).Prepend(runtime).FirstOrDefault(File.Exists);
    }
}
