using Vfio.Native.Files;

namespace Vfio.Cli;

/// <summary>The files that the runtime makes for debuggers and dotnet-counters: a socket and two FIFOs in TMPDIR. A process that is killed
/// leaves them behind.</summary>
/// <remarks>So they are removed at the start; a debugger that started the program has them open by then. DOTNET_EnableDiagnostics=1 keeps
/// them. The runtime setting that makes none has to be in the environment before the program starts.</remarks>
internal static class RuntimeFiles
{
    /// <summary>Removes this process' own.</summary>
    internal static void Remove()
    {
        if (Environment.GetEnvironmentVariable("DOTNET_EnableDiagnostics") is not null || ProcessStat.TryRead("self") is not { } stat)
            return;
        try
        {
            string key = $"{Environment.ProcessId}-{stat.StartTime}";
            foreach (string name in new[] { $"dotnet-diagnostic-{key}-socket", $"clr-debug-pipe-{key}-in", $"clr-debug-pipe-{key}-out" })
                File.Delete(Path.Combine(Path.GetTempPath(), name));
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            // They stay, as for any other .NET program.
        }
    }
}
