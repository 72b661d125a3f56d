using System.Text.Json;
using Vfio.Cli;
using Vfio.Cli.Output;

namespace Vfio.Tests.Cli;

/// <summary>The one way by which the command prints: foreign text in it steers no terminal and no reader.</summary>
public sealed class OutputTests
{
    private const string Foreign = "a\e[31m\a[red]b[/]\r\nc\u009b2J\u202ed\u200b\x7f";
    private const string Shown = "a\\x1b[31m\\x07[red]b[/]\\r\\nc\\x9b2J\\u202ed\\u200b\\x7f";

    [Fact]
    public void A_line_stays_one_line()
    {
        using StringWriter raw = new();
        using PlainWriter writer = new(raw, isTerminal: false);
        writer.WriteLine($"\tname: {Foreign}");
        writer.WriteLine(Foreign.AsSpan());
        writer.WriteLine((object)Foreign);
        writer.WriteLine("{0}", Foreign);
        Assert.Equal($"\tname: {Shown}\n{Shown}\n{Shown}\n{Shown}\n", raw.ToString());
    }

    [Fact]
    public void A_text_keeps_its_line_ends_alone()
    {
        using StringWriter raw = new();
        using PlainWriter writer = new(raw, isTerminal: false);
        writer.Write(Foreign);
        writer.Write(Foreign.ToCharArray());
        foreach (char letter in "x\ey\n")
            writer.Write(letter);
        string shown = Shown.Replace("\\n", "\n", StringComparison.Ordinal);
        Assert.Equal($"{shown}{shown}x\\x1by\n", raw.ToString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Styled_lines_and_tables_take_texts_for_texts(bool isTerminal)
    {
        using StringWriter raw = new();
        using PlainWriter writer = new(raw, isTerminal);
        Terminal terminal = Terminal.For(writer);
        terminal.Width = 200;
        terminal.WriteLine(new StyledText(Foreign, "red"), " ", Foreign);
        TextTable.Print(writer, ["NAME", Column.Number("COUNT")], [[Foreign, "1"], ["[bold]x[/]", Foreign]]);
        Assert.Contains(Shown, raw.ToString());
        Assert.Contains("[bold]x[/]", raw.ToString());
        Assert.DoesNotContain("\e[31m\a", raw.ToString());
        Assert.DoesNotContain(raw.ToString(), letter => letter is '\a' or '\r' or '\u009b' or '\u202e' or '\u200b' or '\x7f');
        if (!isTerminal)
            Assert.DoesNotContain('\e', raw.ToString());
    }

    [Fact]
    public void Json_has_escapes_for_what_a_terminal_takes_and_means_the_same()
    {
        string foreign = Foreign + "\U000e0041🎉\u2028";
        using StringWriter raw = new();
        Json.Print(raw, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("text", foreign);
            writer.WriteString(foreign, "name");
            writer.WriteEndObject();
        });
        Assert.DoesNotContain(raw.ToString(), letter => letter is not '\n' and (< ' ' or (>= '\x7f' and <= '\x9f') or '\u202e' or '\u200b' or '\u2028'));
        using JsonDocument document = JsonDocument.Parse(raw.ToString());
        Assert.Equal(foreign, document.RootElement.GetProperty("text").GetString());
        Assert.Equal("name", document.RootElement.GetProperty(foreign).GetString());
        Assert.DoesNotContain('\n', Json.Line(writer => writer.WriteStringValue(foreign)));
    }

    [Fact]
    public async Task An_error_is_one_printable_line()
    {
        using StringWriter output = new(), errors = new();
        Assert.Equal(1, await CommandLine.RunAsync(["show", "unix:/nowhere/" + Foreign], output, errors));
        Assert.Equal(2, await CommandLine.RunAsync(["show", "model:edu", "--" + Foreign], output, errors));
        Assert.Equal(2, await CommandLine.RunAsync([Foreign], output, errors));
        string[] lines = errors.ToString().TrimEnd('\n').Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.All(lines, line => Assert.Contains(Shown[..Shown.IndexOf("\\r", StringComparison.Ordinal)], line));
        Assert.Contains(Shown, lines[0]);
        Assert.DoesNotContain(errors.ToString(), letter => letter is not '\n' and (< ' ' or (>= '\x7f' and <= '\x9f') or '\u202e' or '\u200b'));
    }

    [Fact]
    public void Only_the_folder_of_output_knows_the_console()
    {
        string root = Repository.PathOf("src", "Vfio.Cli");
        Assert.All(
            Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
                .Where(file => Path.GetRelativePath(root, file).Split('/')[0] is not ("Output" or "obj" or "bin")),
            file => Assert.DoesNotMatch(@"Spectre\.Console|Console\.(Out|Error|Write|OpenStandardOutput|OpenStandardError)\b|AnsiConsole", File.ReadAllText(file)));
    }
}
