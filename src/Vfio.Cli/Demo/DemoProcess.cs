using System.Diagnostics;

namespace Vfio.Cli.Demo;

/// <summary>A process of the demo: it reads the name of a step on its standard input, does it, and answers one line of JSON.</summary>
internal sealed class DemoProcess : IDisposable
{
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(10);
    private readonly Process _process;

    private DemoProcess(string role, Process process)
    {
        Role = role;
        _process = process;
    }

    /// <summary>Its role in the demo: owner or user.</summary>
    internal string Role { get; }

    /// <summary>Its process id.</summary>
    internal int Id => _process.Id;

    /// <summary>Starts this program again as another process.</summary>
    /// <param name="role">Its role in the demo.</param>
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

        // A demo that is killed would leave the runtime's debugging socket in /tmp.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        return new DemoProcess(role, Process.Start(start)!);
    }

    /// <summary>Makes it do a step.</summary>
    internal StepResult Do(string step)
    {
        _process.StandardInput.WriteLine(step);
        _process.StandardInput.Flush();
        string? line = _process.StandardOutput.ReadLine();
        return line is null ? new StepResult(step, $"the {Role}'s process ended", false) : StepResult.FromLine(line);
    }

    /// <summary>Does steps until standard input ends: the main loop of such a process.</summary>
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

    /// <summary>Asks it to exit, and kills it if it does not.</summary>
    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeToEnd))
            _process.Kill();
        _process.Dispose();
    }
}
