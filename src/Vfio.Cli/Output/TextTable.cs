using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>A table for people: columns line up; plain text where the output is no terminal.</summary>
/// <remarks>A number is never cut, nor its unit. If a row is longer than the terminal is wide, texts are shortened, the last column first.
/// If that is not enough, the terminal wraps a table of texts, and a table with numbers is written with a line for each cell.</remarks>
internal static class TextTable
{
    private const int Gap = 2, LeastWidth = 8;

    /// <summary>Writes rows under their headings.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="columns">The headings.</param>
    /// <param name="rows">A cell for each column.</param>
    /// <param name="width">Columns of the terminal; null to ask the terminal.</param>
    internal static void Print(TextWriter output, IReadOnlyList<Column> columns, IEnumerable<IReadOnlyList<string>> rows, int? width = null)
    {
        Terminal terminal = Terminal.For(output);
        terminal.Width = width ?? terminal.Width;
        string[][] cells = [.. rows.Select(row => row.Select(cell => PrintableText.Of(cell)).ToArray())];
        int[] widths = [.. columns.Select((column, i) => cells.Select(row => WidthOf(row[i])).Append(column.Heading.Length).Max())];
        if (!TryFit(columns, widths, terminal.Width))
        {
            if (columns.Any(column => column.IsNumber))
            {
                PrintBlocks(output, columns, cells);
                return;
            }

            terminal.Width = Terminal.Unwrapped;
        }

        Table table = new Table().Border(TableBorder.None).HideFooters();
        for (int i = 0; i < columns.Count; i++)
        {
            TableColumn column = new TableColumn(new Text(Shorten(columns[i].Heading, widths[i]), new Style(decoration: Decoration.Bold)))
                .NoWrap().PadLeft(0).PadRight(i == columns.Count - 1 ? 0 : Gap);
            table.AddColumn(columns[i].IsNumber ? column.RightAligned() : column);
        }

        foreach (string[] row in cells)
            table.AddRow(row.Select((cell, i) => new Text(Shorten(cell, widths[i]))));
        terminal.Write(table);
    }

    /// <summary>Shortens texts, from the last column to the first, until a row fits.</summary>
    private static bool TryFit(IReadOnlyList<Column> columns, int[] widths, int width)
    {
        // The last column of the terminal stays free: some terminals wrap when it is written to.
        int excess = widths.Sum() + (Gap * (widths.Length - 1)) - (width - 1);
        int[] fitted = [.. widths];
        for (int i = widths.Length - 1; i >= 0 && excess > 0; i--)
        {
            if (columns[i].IsWhole)
                continue;
            int taken = Math.Clamp(widths[i] - LeastWidth, 0, excess);
            fitted[i] -= taken;
            excess -= taken;
        }

        if (excess > 0)
            return false;
        fitted.CopyTo(widths, 0);
        return true;
    }

    private static void PrintBlocks(TextWriter output, IReadOnlyList<Column> columns, string[][] cells)
    {
        int label = columns.Max(column => column.Heading.Length) + Gap;
        for (int row = 0; row < cells.Length; row++)
        {
            if (row > 0)
                output.WriteLine();
            for (int i = 0; i < columns.Count; i++)
                output.WriteLine($"{columns[i].Heading.PadRight(label)}{cells[row][i]}".TrimEnd());
        }
    }

    private static string Shorten(string text, int width)
    {
        if (WidthOf(text) <= width)
            return text;
        int length = 0, taken = 0;
        foreach (string letter in Letters(text))
        {
            if (taken + WidthOf(letter) > width - 1)
                break;
            taken += WidthOf(letter);
            length += letter.Length;
        }

        return $"{text.AsSpan(0, length).TrimEnd()}…";
    }

    private static int WidthOf(string text) => new Segment(text).CellCount();

    private static IEnumerable<string> Letters(string text)
    {
        TextElementEnumerator letters = StringInfo.GetTextElementEnumerator(text);
        while (letters.MoveNext())
            yield return letters.GetTextElement();
    }
}

/// <summary>A column of a table.</summary>
/// <param name="Heading">What stands above it.</param>
/// <param name="IsWhole">Whether its cells are never cut: numbers, addresses.</param>
/// <param name="IsNumber">Whether it lines up on the right.</param>
internal readonly record struct Column(string Heading, bool IsWhole, bool IsNumber)
{
    /// <summary>A text, which may be shortened.</summary>
    public static implicit operator Column(string heading) => new(heading, false, false);

    /// <summary>A number with its unit.</summary>
    internal static Column Number(string heading) => new(heading, true, true);

    /// <summary>A name or an address, which must not be shortened.</summary>
    internal static Column Whole(string heading) => new(heading, true, false);
}
