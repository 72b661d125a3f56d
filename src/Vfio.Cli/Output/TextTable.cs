using Spectre.Console;

namespace Vfio.Cli.Output;

/// <summary>A table for people: columns line up; plain text where the output is no terminal.</summary>
internal static class TextTable
{
    /// <summary>Writes rows under their headings.</summary>
    internal static void Print(TextWriter output, IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        Table table = new Table().Border(TableBorder.None).HideFooters();
        foreach (string heading in headings)
            table.AddColumn(new TableColumn($"[bold]{Markup.Escape(heading)}[/]").NoWrap().PadLeft(0).PadRight(2));
        foreach (IReadOnlyList<string> row in rows)
            table.AddRow([.. row.Select(Markup.Escape)]);
        IAnsiConsole console = Terminal.For(output);
        console.Write(table);
    }
}
