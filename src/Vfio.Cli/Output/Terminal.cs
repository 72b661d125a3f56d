using Spectre.Console;

namespace Vfio.Cli.Output;

/// <summary>Where text for people goes: coloured in a terminal, plain and never wrapped in a file or a pipe.</summary>
internal static class Terminal
{
    /// <summary>A width that no line of ours reaches.</summary>
    internal const int Unwrapped = 1000;

    internal static IAnsiConsole For(TextWriter output)
    {
        bool terminal = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(output),
            Ansi = terminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = terminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });

        // A terminal that does not tell its width has 0.
        if (!terminal || console.Profile.Width <= 0)
            console.Profile.Width = Unwrapped;
        return console;
    }
}
