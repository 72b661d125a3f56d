using System.Text;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>A writer that makes text printable: nothing in it controls a terminal.</summary>
/// <remarks>All output of the command goes through it, so no verb has to know where its text comes from. A text written as a line stays one
/// line: a line end inside it is printed as an escape. <see cref="Write(string)"/> takes text of several lines, and is for text of this
/// program only. Tabs stay. Only <see cref="Terminal"/> and <see cref="StatusLine"/> write to <see cref="Raw"/>: colours and
/// progress.</remarks>
internal sealed class PlainWriter(TextWriter raw, bool isTerminal) : TextWriter
{
    /// <summary>Where the bytes go.</summary>
    internal TextWriter Raw => raw;

    /// <summary>Whether it is a terminal.</summary>
    internal bool IsTerminal => isTerminal;

    /// <inheritdoc/>
    public override Encoding Encoding => raw.Encoding;

    /// <inheritdoc/>
    public override void Write(char value) => Write(value.ToString());

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    /// <inheritdoc/>
    public override void Write(string? value) => raw.Write(Escape(value ?? "", keepLineEnds: true));

    /// <inheritdoc/>
    public override void WriteLine() => raw.WriteLine();

    /// <inheritdoc/>
    public override void WriteLine(string? value) => raw.WriteLine(Escape(value ?? "", keepLineEnds: false));

    /// <inheritdoc/>
    public override void WriteLine(ReadOnlySpan<char> buffer) => WriteLine(buffer.ToString());

    /// <inheritdoc/>
    public override Task WriteLineAsync(string? value)
    {
        WriteLine(value);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Flush() => raw.Flush();

    private static string Escape(string text, bool keepLineEnds)
    {
        if (PrintableText.FindUnprintable(text, 0) < 0)
            return text;
        StringBuilder result = new(text.Length + 16);
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] != '\t' && (text[i] != '\n' || !keepLineEnds))
                continue;
            result.Append(PrintableText.Of(text[start..i], int.MaxValue));
            if (i < text.Length)
                result.Append(text[i]);
            start = i + 1;
        }

        return result.ToString();
    }
}
