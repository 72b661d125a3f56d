using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Native;

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

        if (words.Length == 0)
        {
            await root.Parse(["--help"]).InvokeAsync();
            return Misused;
        }

        ParseResult parsed = root.Parse(words, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 && parsed.Action is not HelpWithExamples)
            return await MisuseAsync(parsed, FindError(parsed));

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null, // a verb that has something to end takes the signal itself
            });
        }
        catch (MisuseException mistake)
        {
            return await MisuseAsync(parsed, mistake.Message);
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

    private static async Task<int> MisuseAsync(ParseResult parsed, string mistake)
    {
        await Console.Error.WriteLineAsync($"vfio: {PrintableText.Of(mistake)} Ask '{FindCommand(parsed.CommandResult)} --help'.");
        return Misused;
    }

    /// <summary>What to say of words that are wrong: of a word that means nothing rather than of one that is missing in its place.</summary>
    private static string FindError(ParseResult parsed)
    {
        string? stray = parsed.UnmatchedTokens.FirstOrDefault();
        ParseError? ofStray = parsed.Errors.FirstOrDefault(error => stray is not null && error.Message.Contains($"'{stray}'", StringComparison.Ordinal));
        return (ofStray ?? parsed.Errors[0]).Message;
    }

    /// <summary>The command that a word belongs to: <c>vfio nvme</c> for its <c>read</c>, and <c>vfio</c> for what is no verb.</summary>
    private static string FindCommand(CommandResult word) => word.Parent switch
    {
        CommandResult { Parent: not null } outer => FindCommand(outer),
        null => "vfio",
        _ => $"vfio {word.Command.Name}",
    };
}
