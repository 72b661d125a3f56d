using System.CommandLine;

namespace Vfio.Cli.Side;

/// <summary>A verb that a program of its own does. Both have its arguments and options: this command for help and completion, that one to
/// run.</summary>
internal abstract class SideVerb(SideProgram program, string summary) : Verb(program.Verb, summary)
{
    /// <summary>Does the verb, in the program whose it is; null in this command, which becomes that program.</summary>
    internal static Func<ParseResult, SideVerb, Task<int>>? Run { get; set; }

    /// <inheritdoc/>
    protected sealed override void Define(Command command)
    {
        AddOptions(command);
        command.SetAction(async (parsed, _) =>
        {
            Check(parsed);
            if (Run is { } run)
                return await run(parsed, this);

            // As they were given: only the program's own words may be in them, and the verb.
            string[] words = Environment.GetCommandLineArgs();
            program.Become(words[(Array.IndexOf(words, program.Verb) + 1)..]);
            return CommandLine.Refused;
        });
    }

    /// <summary>Adds arguments and options.</summary>
    protected abstract void AddOptions(Command command);

    /// <summary>Refuses options that contradict each other.</summary>
    /// <exception cref="MisuseException">They do.</exception>
    protected virtual void Check(ParseResult parsed)
    {
    }
}
