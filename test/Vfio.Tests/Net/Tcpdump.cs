using System.Diagnostics;

namespace Vfio.Tests.Net;

/// <summary>The real <c>tcpdump</c>, for its reading of a capture.</summary>
internal static class Tcpdump
{
    internal static bool IsInstalled { get; } =
        Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, "tcpdump")));

    /// <summary>What it prints of a capture, which it gets on its standard input.</summary>
    internal static string Read(byte[] capture, params string[] words)
    {
        ProcessStartInfo start = new("tcpdump", ["-n", "-r", "-", .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        process.StandardInput.BaseStream.Write(capture);
        process.StandardInput.Close();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors.Result);
        return output.Result;
    }
}
