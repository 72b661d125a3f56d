using System.Diagnostics;

namespace Vfio.Cli.Demo;

/// <summary>A process of the demo: it is told a step by name on its standard input, does it, and answers one line of JSON.</summary>
internal sealed class DemoProcess : IDisposable
{
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(10);
    private readonly Process _process;

    private DemoProcess(string role, Process process)
    {
        Role = role;
        _process = process;
    }

    /// <summary>What it is in the story: owner or user.</summary>
    internal string Role { get; }

    /// <summary>Its process id.</summary>
    internal int Id => _process.Id;

    /// <summary>Starts this program again as another process.</summary>
    /// <param name="role">What it is in the story.</param>
    /// <param name="program">The program, readable to the user.</param>
    /// <param name="user">Who it runs as; null for this user.</param>
    /// <param name="words">The verb and its arguments.</param>
    internal static DemoProcess Start(string role, OwnProgram program, string? user, params string[] words)
    {
        ProcessStartInfo start = program.Start(words);
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.WorkingDirectory = "/";
        if (user is not null)
        {
            start.UserName = user;
            start.Environment["HOME"] = "/";
        }

        // The runtime's own debugging socket would be one more thing that the demo leaves in /tmp when it is killed.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        return new DemoProcess(role, Process.Start(start)!);
    }

    /// <summary>Has it do a step.</summary>
    internal StepResult Do(string step)
    {
        _process.StandardInput.WriteLine(step);
        _process.StandardInput.Flush();
        string? line = _process.StandardOutput.ReadLine();
        return line is null ? new StepResult(step, $"the {Role}'s process ended", false) : StepResult.FromLine(line);
    }

    /// <summary>Answers steps until standard input ends: what the other process runs.</summary>
    internal static void Perform(IReadOnlyDictionary<string, Func<StepResult>> steps, TextReader input, TextWriter output)
    {
        while (input.ReadLine() is { } step)
        {
            StepResult result;
            try
            {
                result = steps[step]();
            }
            catch (VfioException refusal)
            {
                result = new StepResult(step, refusal.Message, false);
            }

            output.WriteLine(result.ToLine());
            output.Flush();
        }
    }

    /// <summary>Lets it end, and ends it if it does not.</summary>
    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeToEnd))
            _process.Kill();
        _process.Dispose();
    }
}
