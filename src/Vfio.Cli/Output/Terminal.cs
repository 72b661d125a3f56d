using Spectre.Console;
using Spectre.Console.Rendering;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>Where text for people goes: coloured in a terminal, plain and never wrapped in a file or a pipe.</summary>
/// <remarks>The only user of the console library. Texts are texts: none is read as markup.</remarks>
internal sealed class Terminal
{
    /// <summary>A width that no line of ours reaches.</summary>
    internal const int Unwrapped = 1000;

    private readonly IAnsiConsole _console;

    private Terminal(IAnsiConsole console) => _console = console;

    /// <summary>Columns; <see cref="Unwrapped"/> where nobody looks.</summary>
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
            // The console escapes for the terminal itself; what it is given has been made printable.
            Out = new AnsiConsoleOutput((output as PlainWriter)?.Raw ?? output),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });

        // A terminal that does not tell its width has 0.
        if (!isTerminal || console.Profile.Width <= 0)
            console.Profile.Width = Unwrapped;
        return new Terminal(console);
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

    /// <summary>Writes something that is laid out already.</summary>
    internal void Write(IRenderable content) => _console.Write(content);
}

/// <summary>A text and how it looks.</summary>
/// <param name="Text">Of whomever.</param>
/// <param name="Style">A colour or <c>bold</c>; null for neither.</param>
internal readonly record struct StyledText(string Text, string? Style = null)
{
    public static implicit operator StyledText(string text) => new(text);
}
