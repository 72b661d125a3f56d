using System.Collections;
using Vfio.Native.Interop;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Finds a program as a shell does.</summary>
internal static class ProgramFile
{
    private const int Executable = 1;

    /// <summary>How to start a program.</summary>
    /// <exception cref="VfioException">ENOENT: there is none; EACCES: it cannot be executed.</exception>
    internal static ProgramStart ToStart(RunProgram program)
    {
        Dictionary<string, string> environment = [];
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
            environment[(string)variable.Key] = (string?)variable.Value ?? "";
        foreach ((string name, string? value) in program.Environment)
        {
            if (value is null)
                environment.Remove(name);
            else
                environment[name] = value;
        }

        string path = Find(program.Name, environment.GetValueOrDefault("PATH") ?? "/usr/bin:/bin");
        return new ProgramStart(path, [program.Name, .. program.Arguments], [.. environment.Select(variable => $"{variable.Key}={variable.Value}")])
        {
            WorkingDirectory = program.WorkingDirectory,
            Standard = [program.StandardInput, program.StandardOutput, program.StandardError],
        };
    }

    private static string Find(string name, string folders)
    {
        bool isPath = name.Contains('/', StringComparison.Ordinal);
        string[] candidates = isPath ? [Path.GetFullPath(name)] : [.. folders.Split(':').Select(folder => Path.Combine(folder.Length == 0 ? "." : folder, name))];
        string? refused = null;
        foreach (string candidate in candidates.Where(File.Exists))
        {
            if (LibC.access(candidate, Executable) == 0)
                return candidate;
            refused ??= candidate;
        }

        throw refused is not null
            ? new VfioException("starting", refused, Errno.AccessDenied, "make it executable ('chmod +x'), or start its interpreter")
            : new VfioException("starting", name, Errno.NoEntry, isPath ? "check the path" : "it is in no folder of PATH");
    }
}
