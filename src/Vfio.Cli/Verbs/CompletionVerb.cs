using System.CommandLine;

namespace Vfio.Cli.Verbs;

/// <summary>Prints a script that completes the verbs and options of the command.</summary>
internal sealed class CompletionVerb() : Verb("completion", "Print a script that completes the verbs and options of vfio in your shell.")
{
    // Each script asks the command itself, so that verbs and options are written down once.
    private const string Bash =
        """
        _vfio() {
            local words
            words=$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)
            COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _vfio vfio ./vfio
        """;

    // Sourced, or a file that zsh finds by its first line and runs as the function itself.
    private const string Zsh =
        """
        #compdef vfio
        _vfio() {
            local -a words_found
            words_found=(${(f)"$("${words[1]}" "[suggest:${#BUFFER}]" "$BUFFER" 2>/dev/null)"})
            compadd -a words_found || _files
        }
        if [ "$funcstack[1]" = _vfio ]; then
            _vfio "$@"
        else
            compdef _vfio vfio ./vfio
        fi
        """;

    private const string Fish =
        """
        complete -c vfio -a '(set -l line (commandline -cp); vfio "[suggest:"(string length -- $line)"]" $line 2>/dev/null)'
        """;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("source <(./vfio completion bash)", "complete in this bash"),
        new("vfio completion fish > ~/.config/fish/completions/vfio.fish", "complete in every fish"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> shell = new("shell") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        command.Arguments.Add(shell);
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.Write(parsed.GetValue(shell) switch
        {
            "bash" => Bash + "\n",
            "zsh" => Zsh + "\n",
            _ => Fish + "\n",
        }));
    }
}
