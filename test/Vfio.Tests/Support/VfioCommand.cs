using System.Diagnostics;

namespace Vfio.Tests;

/// <summary>The vfio command as a process.</summary>
internal static class VfioCommand
{
    /// <summary>The program, where it was built: the copy beside the tests lacks what their framework has.</summary>
    public static string Path { get; } = Repository.PathOf(
        "src", "Vfio.Cli", System.IO.Path.GetRelativePath(Repository.PathOf("test", "Vfio.Tests"), AppContext.BaseDirectory), "Vfio.Cli.dll");

    /// <summary>Runs it to its end.</summary>
    public static Result Run(params string[] words)
    {
        ProcessStartInfo start = new("dotnet", [Path, .. words]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new Result(process.ExitCode, output, errors.Result);
    }

    /// <summary>Starts it, with its input and output in the caller's hands.</summary>
    public static Process Start(params string[] words) =>
        Process.Start(new ProcessStartInfo("dotnet", [Path, .. words]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;

    /// <summary>What it printed, and how it ended.</summary>
    internal readonly record struct Result(int ExitCode, string Output, string Errors);
}
