using Spectre.Console;

namespace Vfio.Cli.Output;

/// <summary>A table for people: columns line up; plain text where the output is no terminal. Where a line would be longer than the
/// terminal is wide, the last column gives way; where that does not help, the terminal wraps it.</summary>
internal static class TextTable
{
    private const int Gap = 2, LeastWidth = 8;

    /// <summary>Writes rows under their headings.</summary>
    internal static void Print(TextWriter output, IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        IAnsiConsole console = Terminal.For(output);
        IReadOnlyList<string>[] cells = [.. rows];
        int others = Enumerable.Range(0, headings.Count - 1)
            .Sum(column => cells.Select(row => row[column].Length).Append(headings[column].Length).Max() + Gap);
        if (others + LeastWidth >= console.Profile.Width)
            console.Profile.Width = Terminal.Unwrapped;
        int last = console.Profile.Width - others - 1;
        Table table = new Table().Border(TableBorder.None).HideFooters();
        foreach (string heading in headings)
            table.AddColumn(new TableColumn($"[bold]{Markup.Escape(heading)}[/]").NoWrap().PadLeft(0).PadRight(heading == headings[^1] ? 0 : Gap));
        foreach (IReadOnlyList<string> row in cells)
            table.AddRow([.. row.SkipLast(1).Append(Shorten(row[^1], last)).Select(Markup.Escape)]);
        console.Write(table);
    }

    private static string Shorten(string text, int width) => text.Length <= width ? text : $"{text.AsSpan(0, width - 1).TrimEnd()}…";
}
