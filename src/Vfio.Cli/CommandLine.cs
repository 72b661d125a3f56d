using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli;

/// <summary>The <c>vfio</c> command: its verbs, and how their errors are reported.</summary>
internal static partial class CommandLine
{
    /// <summary>Exit code when a device, a peer or the system refused.</summary>
    internal const int Refused = 1;

    /// <summary>Exit code of a wrong command line.</summary>
    internal const int Misused = 2;

    /// <summary>Exit code when this program has a fault (EX_SOFTWARE of <c>sysexits.h</c>).</summary>
    internal const int Faulty = 70;

    /// <summary>Exit code when the reader of standard output is gone: 128 + SIGPIPE, as a shell reports it.</summary>
    internal const int NobodyReads = 141;

    /// <summary>An environment variable: with 1, errors print their stack trace.</summary>
    internal const string TraceVariable = "VFIO_TRACE";

    private const int MaxLineLength = 4000;

    /// <summary>All verbs, in the order of the help.</summary>
    internal static readonly Verb[] Verbs =
    [
        new DemoVerb(),
        new ListVerb(),
        new ShowVerb(),
        new DumpVerb(),
        new PeekVerb(),
        new PokeVerb(),
        new ServeVerb(),
        new RunVerb(),
        new TraceVerb(),
        new RecordVerb(),
        new TopVerb(),
        new WebVerb(),
        new NvmeVerb(),
        new NetVerb(),
        new CheckVerb(),
        new BindVerb(),
        new UnbindVerb(),
        new PermitVerb(),
        new VirtualFunctionsVerb(),
        new EventsVerb(),
        new BrokerVerb(),
        new PolicyVerb(),
        new LeaseVerb(),
        new LeasesVerb(),
        new RevokeVerb(),
        new CdiVerb(),
        new BenchVerb(),
        new CompletionVerb(),
        new ManualVerb(),
        new DemoOwnerVerb(),
        new DemoUserVerb(),
    ];

    /// <summary>Runs one command.</summary>
    /// <param name="words">Verb, arguments and options.</param>
    /// <param name="output">Standard output.</param>
    /// <param name="errors">Standard error: one line for whatever goes wrong.</param>
    /// <returns>The exit code.</returns>
    internal static async Task<int> RunAsync(string[] words, TextWriter output, TextWriter errors)
    {
        try
        {
            return await RunWordsAsync(words, output, errors);
        }
        catch (Exception failure)
        {
            return Report(failure, errors);
        }
    }

    /// <summary>Prints an error.</summary>
    /// <returns>The exit code.</returns>
    internal static int Report(Exception exception, TextWriter errors)
    {
        Failure failure = Failure.Of(exception);
        StatusLine.Show(null);
        if (failure.Line is { } line)
            errors.WriteLine($"vfio: {PrintableText.Of(LineEnds().Replace(line, " "), MaxLineLength)}");
        if (Environment.GetEnvironmentVariable(TraceVariable) == "1")
            errors.Write($"{exception}\n");
        return failure.ExitCode;
    }

    // The messages of the parser's library have line ends and tabs.
    [GeneratedRegex(@"[\t ]*[\r\n]+[\t ]*")]
    private static partial Regex LineEnds();

    /// <summary>The command with all verbs and options.</summary>
    internal static RootCommand CreateRoot()
    {
        RootCommand root = new("Assigns PCI devices to ordinary programs, and drives, shows and serves them.");
        foreach (Verb verb in Verbs)
            root.Subcommands.Add(verb.ToCommand());
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!, Verbs);
        root.Options.OfType<VersionOption>().Single().Action = new VersionAction();
        return root;
    }

    private static async Task<int> RunWordsAsync(string[] words, TextWriter output, TextWriter errors)
    {
        RootCommand root = CreateRoot();
        InvocationConfiguration invocation = new()
        {
            Output = output,
            Error = errors,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null, // a verb with something to finish handles the signal itself
        };
        if (words.Length == 0)
        {
            await root.Parse(["--help"]).InvokeAsync(invocation);
            return Misused;
        }

        ParseResult parsed = root.Parse(words, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 && parsed.Action is not HelpWithExamples)
            throw new MisuseException(WithHelp(parsed, FindError(parsed)));
        try
        {
            return await parsed.InvokeAsync(invocation);
        }
        catch (MisuseException mistake)
        {
            throw new MisuseException(WithHelp(parsed, mistake.Message));
        }
    }

    private static string WithHelp(ParseResult parsed, string mistake) => $"{mistake} Ask '{FindCommand(parsed.CommandResult)} --help'.";

    /// <summary>The error to report for a wrong command line: an unknown word rather than the one that is missing in its place.</summary>
    private static string FindError(ParseResult parsed)
    {
        string? stray = parsed.UnmatchedTokens.FirstOrDefault();
        ParseError? ofStray = parsed.Errors.FirstOrDefault(error => stray is not null && error.Message.Contains($"'{stray}'", StringComparison.Ordinal));
        return (ofStray ?? parsed.Errors[0]).Message;
    }

    /// <summary>The command that a word belongs to: <c>vfio nvme</c> for its <c>read</c>, and <c>vfio</c> for a word that is no verb.</summary>
    private static string FindCommand(CommandResult word) => word.Parent switch
    {
        CommandResult { Parent: not null } outer => FindCommand(outer),
        null => "vfio",
        _ => $"vfio {word.Command.Name}",
    };
}
