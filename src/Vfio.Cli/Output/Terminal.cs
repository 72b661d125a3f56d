using Spectre.Console;
using Spectre.Console.Rendering;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>Output for people: coloured in a terminal, plain and never wrapped in a file or a pipe.</summary>
/// <remarks>The only user of the console library. No text is read as markup.</remarks>
internal sealed class Terminal
{
    /// <summary>A width that no line reaches.</summary>
    internal const int Unwrapped = 1000;

    private readonly IAnsiConsole _console;

    private Terminal(IAnsiConsole console) => _console = console;

    /// <summary>Columns; <see cref="Unwrapped"/> when the output is no terminal.</summary>
    internal int Width
    {
        get => _console.Profile.Width;
        set => _console.Profile.Width = value;
    }

    internal static Terminal For(TextWriter output)
    {
        bool isTerminal = output is PlainWriter { IsTerminal: true };
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            // The console library writes its own escapes; the text that it gets has been made printable.
            Out = new AnsiConsoleOutput((output as PlainWriter)?.Raw ?? output),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });

        // A terminal of unknown width has 0.
        if (!isTerminal || console.Profile.Width <= 0)
            console.Profile.Width = Unwrapped;
        return new Terminal(console);
    }

    /// <summary>Empties the screen of a terminal; nothing elsewhere.</summary>
    internal static void Clear(TextWriter output)
    {
        if (output is PlainWriter { IsTerminal: true } writer)
            writer.Raw.Write("\e[H\e[2J");
    }

    /// <summary>Writes one line of pieces.</summary>
    internal void WriteLine(params ReadOnlySpan<StyledText> pieces)
    {
        Paragraph line = new();
        foreach (StyledText piece in pieces)
            line.Append(PrintableText.Of(piece.Text), piece.Style is { } style ? Style.Parse(style) : null);
        _console.Write(line);
        _console.WriteLine();
    }

    /// <summary>Writes a text with its layout.</summary>
    internal void Write(IRenderable content) => _console.Write(content);
}

/// <summary>A text and how it looks.</summary>
/// <param name="Text">The text, from any source.</param>
/// <param name="Style">A colour or <c>bold</c>; null for neither.</param>
internal readonly record struct StyledText(string Text, string? Style = null)
{
    public static implicit operator StyledText(string text) => new(text);
}
