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
        if (Environment.GetEnvironmentVariable("DOTNET_EnableDiagnostics") is not null)
            return;
        try
        {
            // The 22nd field of proc_pid_stat(5) is when it was started; the 2nd may have blanks in it, and ends with the last bracket.
            string status = File.ReadAllText("/proc/self/stat");
            string started = status[(status.LastIndexOf(')') + 2)..].Split(' ')[19];
            string key = $"{Environment.ProcessId}-{started}";
            foreach (string name in new[] { $"dotnet-diagnostic-{key}-socket", $"clr-debug-pipe-{key}-in", $"clr-debug-pipe-{key}-out" })
                File.Delete(Path.Combine(Path.GetTempPath(), name));
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or IndexOutOfRangeException)
        {
            // They stay, as for any other .NET program.
        }
    }
}
