using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Vfio.Cli.Verbs;

namespace Vfio.Cli.Output;

/// <summary>The usual help, with examples below it.</summary>
internal sealed class HelpWithExamples(HelpAction usual, IReadOnlyList<Verb> verbs) : SynchronousCommandLineAction
{
    /// <summary>What is shown where no verb is named.</summary>
    internal static readonly Example[] General =
    [
        new("vfio demo", "every step, on an emulated device"),
        new("vfio ls", "the PCI functions of this machine"),
        new("vfio VERB --help", "one verb, with examples"),
    ];

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        TextWriter output = parseResult.InvocationConfiguration.Output;
        int result = InvokeUsual(parseResult, output);
        IReadOnlyList<Example> examples = FindVerb(parseResult.CommandResult)?.Examples ?? General;
        int width = examples.Max(example => example.Command.Length);
        output.WriteLine("Examples:");
        foreach (Example example in examples)
            output.WriteLine($"  {example.Command.PadRight(width)}  {example.Does}");
        return result;
    }

    /// <summary>The verb itself, or the verb that a subcommand belongs to; a subcommand may have the name of another verb.</summary>
    private Verb? FindVerb(SymbolResult result)
    {
        while (result.Parent is CommandResult { Parent: not null } outer)
            result = outer;
        return result is CommandResult word ? verbs.FirstOrDefault(verb => verb.Name == word.Command.Name) : null;
    }

    // The usual help names the program after its file, which is not the name of the command.
    private int InvokeUsual(ParseResult parseResult, TextWriter output)
    {
        using StringWriter text = new();
        parseResult.InvocationConfiguration.Output = text;
        int result = usual.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output = output;
        output.Write(text.ToString().Replace(RootCommand.ExecutableName, "vfio", StringComparison.Ordinal));
        return result;
    }
}
