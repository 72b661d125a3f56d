using System.Text.RegularExpressions;
using Vfio.Cli.Output;

namespace Vfio.Tests.Cli;

/// <summary>Tables on narrow terminals: numbers stay whole, texts give way.</summary>
public sealed class TableTests
{
    private static readonly Column[] Columns = ["OPERATION", Column.Number("P50"), Column.Number("RATE"), "WHAT IT IS"];

    private static readonly string[][] Rows =
    [
        ["read of one very long name", "123.4 us", "842.5 MB/s", "a text that has a lot to say about what was measured here"],
        ["write", "1 ns", "1.0 G/s", "短い説明ですが幅は広いです、とても広いです"],
    ];

    [Theory]
    [InlineData(200)]
    [InlineData(80)]
    [InlineData(60)]
    [InlineData(47)]
    [InlineData(30)]
    [InlineData(20)]
    public void Numbers_are_whole_at_any_width(int width)
    {
        string text = Print(width, Columns, Rows);
        Assert.All(Rows.SelectMany(row => row[1..3]), number => Assert.Contains(number, text));
    }

    [Theory]
    [InlineData(80)]
    [InlineData(60)]
    [InlineData(47)]
    public void Texts_give_way_from_the_last(int width)
    {
        string[] lines = Print(width, Columns, Rows).TrimEnd('\n').Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.All(lines, line => Assert.InRange(line.Length, 1, width - 1));
        Assert.Contains('…', lines[1]);
        Assert.Equal(width >= 60, lines[1].Contains(Rows[0][0], StringComparison.Ordinal));
    }

    [Fact]
    public void Where_nothing_helps_each_cell_has_a_line()
    {
        string text = Print(30, Columns, Rows);
        Assert.Matches(@"^OPERATION   read of one very long name\nP50         123\.4 us\nRATE        842\.5 MB/s\n", text);
        Assert.Equal(2, Regex.Count(text, "^OPERATION ", RegexOptions.Multiline));
    }

    [Fact]
    public void A_table_of_texts_is_left_to_the_terminal()
    {
        string text = Print(10, ["A", "B"], [["one text that is long", "another one that is long"]]);
        Assert.Contains("one text that is long  another one that is long", text);
    }

    private static string Print(int width, IReadOnlyList<Column> columns, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        using StringWriter raw = new();
        TextTable.Print(raw, columns, rows, width);
        return raw.ToString().Replace("\r", "", StringComparison.Ordinal);
    }
}
