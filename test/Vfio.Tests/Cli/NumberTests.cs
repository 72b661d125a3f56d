using System.CommandLine;
using Vfio.Cli;
using Vfio.Cli.Numbers;

namespace Vfio.Tests.Cli;

/// <summary>Numbers on the command line: what is one, and what becomes of what is none.</summary>
public sealed class NumberTests
{
    private static readonly string[] NoNumbers = ["abc", "nan", "-1", "1e9", "", "99999999999999999999", "0x", "5x", " 5", "1,000", "+5", "५", "\e[31m"];

    // What the arguments that are no numbers have to be, for a number to be all that is wrong.
    private static readonly Dictionary<string, string> Rights = new()
    {
        ["name"] = "disk",
        ["address"] = "model:edu",
        ["function"] = "0000:ff:1f.7",
        ["region"] = "bar0",
        ["shell"] = "bash",
        ["file"] = "/dev/null",
        ["target"] = "192.0.2.1",
        ["program"] = "true",
        ["socket"] = "/nowhere",
        ["--address"] = "192.0.2.7/24",
        ["--to"] = "/nowhere/recording",
        ["--socket"] = "/nowhere/socket",
    };

    public static TheoryData<string> NumericWords
    {
        get
        {
            TheoryData<string> data = [];
            foreach ((Command command, Symbol symbol) in Numbers(CommandLine.CreateRoot()))
                data.Add($"{PathOf(command)} {symbol.Name}");
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(NumericWords))]
    public async Task What_is_no_number_is_one_line_with_the_range_and_an_example(string place)
    {
        (Command command, Symbol symbol) = Numbers(CommandLine.CreateRoot()).Single(pair => $"{PathOf(pair.Command)} {pair.Symbol.Name}" == place);
        NumberRule rule = ((INumberSymbol)symbol).Rule;
        foreach (string word in NoNumbers)
        {
            using StringWriter output = new(), errors = new();
            int code = await CommandLine.RunAsync(WordsWith(command, symbol, word), output, errors);
            string line = errors.ToString();
            Assert.True(code == 2, $"'{word}' for {place}: exit code {code}, {line}");
            Assert.Equal("", output.ToString());
            Assert.StartsWith("vfio: ", line);
            Assert.Equal(line.Length - 1, line.IndexOf('\n', StringComparison.Ordinal));
            Assert.Contains(symbol.Name, line);
            Assert.Contains(rule.Range, line);
            Assert.Contains(rule.Example, line);
            Assert.DoesNotContain("Unhandled", line);
            Assert.DoesNotContain(" at Vfio.", line);
            Assert.DoesNotMatch(@"System\.|Exception|Int32|Double|\e", line);
        }
    }

    [Fact]
    public void There_are_numbers_to_try() => Assert.InRange(NumericWords.Count(), 20, 200);

    [Fact]
    public void Every_option_and_argument_that_is_a_number_is_read_by_the_one_type_of_number()
    {
        foreach ((Command command, Symbol symbol) in Symbols(CommandLine.CreateRoot()))
        {
            Type type = symbol is Option option ? option.ValueType : ((Argument)symbol).ValueType;
            type = Nullable.GetUnderlyingType(type) ?? type;
            bool isNumber = type == typeof(Duration) || type == typeof(TimeSpan) || type == typeof(decimal) || (type.IsPrimitive && type != typeof(bool));
            Assert.True(isNumber == symbol is INumberSymbol, $"{PathOf(command)} {symbol.Name} is a {type.Name}");
        }
    }

    [Fact]
    public void The_example_of_every_number_is_one()
    {
        Assert.All(Numbers(CommandLine.CreateRoot()), pair =>
        {
            foreach (string example in ((INumberSymbol)pair.Symbol).Rule.Example.Split(" or "))
            {
                ParseResult parsed = CommandLine.CreateRoot().Parse(WordsWith(pair.Command, pair.Symbol, example));
                Assert.Empty(parsed.Errors);
            }
        });
    }

    [Theory]
    [InlineData("5s", 5_000_000)]
    [InlineData("250ms", 250_000)]
    [InlineData("1m", 60_000_000)]
    [InlineData("2min", 120_000_000)]
    [InlineData("1h", 3_600_000_000)]
    [InlineData("1d", 86_400_000_000)]
    [InlineData("40us", 40)]
    [InlineData("0.5", 500_000)]
    [InlineData("1.5m", 90_000_000)]
    [InlineData("30", 30_000_000)]
    public void A_time_has_a_unit_and_is_of_seconds_without(string word, long microseconds) =>
        Assert.Equal(TimeSpan.FromMicroseconds(microseconds), Duration.Read(word, "s")!.Value.Time);

    [Theory]
    [InlineData("5 s")]
    [InlineData("5S")]
    [InlineData("5sec")]
    [InlineData(".5s")]
    [InlineData("5.s")]
    [InlineData("1.2.3")]
    [InlineData("s")]
    [InlineData("-5s")]
    [InlineData("1e3s")]
    [InlineData("99999999999999d")]
    [InlineData("99999999999999999999999999999999999999999s")]
    [InlineData("inf")]
    public void What_is_no_time_is_none(string word) => Assert.Null(Duration.Read(word, "s"));

    [Fact]
    public void A_time_without_an_end_is_one_where_that_makes_sense()
    {
        Duration second = Duration.Seconds(1);
        Assert.Null(NumberRules.Time(second, second, second).Read("infinite"));
        NumberRule<Duration> rule = NumberRules.Time(second, second, second, infinite: true);
        Assert.Equal(Timeout.InfiniteTimeSpan, rule.Read("infinite")!.Value.Time);
        Assert.Contains("infinite", rule.Range);
    }

    [Theory]
    [InlineData("64M", 64UL << 20)]
    [InlineData("4K", 4096)]
    [InlineData("4k", 4096)]
    [InlineData("1G", 1UL << 30)]
    [InlineData("2T", 2UL << 40)]
    [InlineData("512", 512)]
    [InlineData("0x1000", 4096)]
    [InlineData("0XfF", 255)]
    [InlineData("0", 0)]
    public void A_size_has_a_unit_of_1024_or_none(string word, ulong bytes) => Assert.Equal(bytes, NumberRules.Size<ulong>(0, 1UL << 60, 1).Read(word));

    [Theory]
    [InlineData("4KB")]
    [InlineData("K")]
    [InlineData("0x4K")]
    [InlineData("1.5G")]
    [InlineData("99999999999999999999M")]
    [InlineData("18446744073709551615P")]
    [InlineData("0x10000000000000000")]
    public void What_is_no_size_is_none(string word) => Assert.Null(NumberRules.Size<ulong>(0, ulong.MaxValue, 1).Read(word));

    [Fact]
    public void Numbers_end_where_their_range_does()
    {
        NumberRule<int> count = NumberRules.Count(1, 64, 4);
        Assert.Equal((null, 1, 64, null), (count.Read("0"), count.Read("1"), count.Read("64"), count.Read("65")));
        NumberRule<int> width = NumberRules.OneOf(1, 2, 4, 8);
        Assert.Equal((8, null), (width.Read("8"), width.Read("3")));
        Assert.Equal(ulong.MaxValue, NumberRules.Register(ulong.MaxValue, 16).Read("0xffffffffffffffff"));
        Assert.Equal(255, NumberRules.Size(0, 255, 1).Read("0xff"));
        Assert.Null(NumberRules.Size(0, int.MaxValue, 1).Read("4G"));
        Assert.Equal("1 to 256K", NumberRules.Size(1, 262_144, 96).Range);
        Assert.Equal("1, 2, 4 or 8", width.Range);
    }

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(1500, "1500us")]
    [InlineData(500_000, "500ms")]
    [InlineData(90_000_000, "90s")]
    [InlineData(86_400_000_000, "1d")]
    public void A_time_is_shown_as_it_is_typed(long microseconds, string word)
    {
        Assert.Equal(word, Duration.Microseconds(microseconds).ToString());
        Assert.Equal(Duration.Microseconds(microseconds), Duration.Read(word, "s"));
    }

    private static string[] WordsWith(Command command, Symbol wrong, string word)
    {
        List<string> words = [];

        // An option of a command that has others is given to one of them.
        Command last = command.Subcommands.FirstOrDefault() ?? command;
        for (Command? at = last; at is not RootCommand; at = at.Parents.OfType<Command>().First())
        {
            // An argument that may be left out is there where a later one is.
            List<Argument> given = [.. at.Arguments];
            int least = given.FindLastIndex(argument => argument.Arity.MinimumNumberOfValues > 0);
            given = given[..(Math.Max(least, wrong is Argument argument ? given.IndexOf(argument) : -1) + 1)];
            words.InsertRange(0, [at.Name, .. given.Select(argument => argument == wrong ? word : Right(argument))]);
        }

        foreach (Option option in last.Options.Where(option => option.Required))
            words.AddRange([option.Name, Right(option)]);
        if (wrong is Option)
            words.AddRange([wrong.Name, word]);
        return [.. words];
    }

    private static string Right(Symbol symbol) =>
        symbol is INumberSymbol number ? number.Rule.Example.Split(" or ")[0] : Rights[symbol.Name];

    private static IEnumerable<(Command Command, Symbol Symbol)> Numbers(Command command) =>
        Symbols(command).Where(pair => pair.Symbol is INumberSymbol);

    private static IEnumerable<(Command Command, Symbol Symbol)> Symbols(Command command) =>
        command.Options.Cast<Symbol>().Concat(command.Arguments).Select(symbol => (command, symbol)).Concat(command.Subcommands.SelectMany(Symbols));

    private static string PathOf(Command command) =>
        command is RootCommand ? "vfio" : $"{PathOf(command.Parents.OfType<Command>().First())} {command.Name}";
}
