using System.CommandLine;

namespace Vfio.Cli;

/// <summary>One verb of the command: its arguments and options, an example of each use, and its action.</summary>
internal abstract class Verb(string name, string summary)
{
    /// <summary>The word.</summary>
    internal string Name => name;

    /// <summary>Whole commands to copy, each with what it is for.</summary>
    internal abstract IReadOnlyList<Example> Examples { get; }

    /// <summary>Whether it is left out of the list of verbs, because other verbs start it.</summary>
    internal virtual bool IsHidden => false;

    /// <summary>Makes the command with its arguments and options.</summary>
    internal Command ToCommand()
    {
        Command command = new(name, summary) { Hidden = IsHidden };
        Define(command);
        return command;
    }

    /// <summary>Adds arguments, options and the action.</summary>
    protected abstract void Define(Command command);
}

/// <summary>A command to copy.</summary>
/// <param name="Command">The command.</param>
/// <param name="Does">What it does.</param>
internal readonly record struct Example(string Command, string Does);
