using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;

namespace Vfio.Cli;

/// <summary>The <c>vfio</c> command: its verbs, and what becomes of their errors.</summary>
internal static class CommandLine
{
    /// <summary>Exit code when a device, a peer or the system refused.</summary>
    internal const int Refused = 1;

    /// <summary>Exit code when the words of the command are wrong.</summary>
    internal const int Misused = 2;

    private static readonly Verb[] Verbs =
    [
        new DemoVerb(),
        new ListVerb(),
        new ShowVerb(),
        new DumpVerb(),
        new PeekVerb(),
        new PokeVerb(),
        new ServeVerb(),
        new NvmeVerb(),
        new NetVerb(),
        new CheckVerb(),
        new BindVerb(),
        new UnbindVerb(),
        new VirtualFunctionsVerb(),
        new EventsVerb(),
        new BenchVerb(),
        new CompletionVerb(),
        new DemoOwnerVerb(),
        new DemoUserVerb(),
    ];

    internal static async Task<int> RunAsync(string[] words)
    {
        RootCommand root = new("Lends PCI devices to ordinary programs, and drives, shows and serves them.");
        foreach (Verb verb in Verbs)
            root.Subcommands.Add(verb.ToCommand());
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!, Verbs);

        ParseResult parsed = root.Parse(words);
        if (parsed.Errors.Count > 0 && parsed.Action is not HelpWithExamples)
        {
            await Console.Error.WriteLineAsync($"vfio: {parsed.Errors[0].Message} Ask 'vfio {FindVerb(parsed.CommandResult)} --help'."
                .Replace("vfio vfio", "vfio", StringComparison.Ordinal));
            return Misused;
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null, // a verb that has something to end takes the signal itself
            });
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or FormatException)
        {
            await Console.Error.WriteLineAsync($"vfio: {refusal.Message.ReplaceLineEndings(" ")}");
            return Refused;
        }
        catch (OperationCanceledException)
        {
            return Refused;
        }
    }

    /// <summary>The verb that a word belongs to: <c>nvme</c> for its <c>read</c>.</summary>
    private static string FindVerb(CommandResult word) =>
        word.Parent is CommandResult { Parent: not null } outer ? FindVerb(outer) : word.Command.Name;
}
