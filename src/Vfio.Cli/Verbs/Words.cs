using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Arguments and options that several verbs take.</summary>
internal static class Words
{
    /// <summary>How long a person waits for a server that says nothing, unless told otherwise.</summary>
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);

    internal static Argument<string> Address() => new("address")
    {
        Description = "The device: 0000:01:00.0, unix:/run/x.sock[?timeout=5s&reconnect=5s], model:edu or mdev:UUID.",
    };

    internal static Argument<PciAddress> Function() => new("function")
    {
        Description = "A function of this machine: 0000:01:00.0.",
        CustomParser = ParseFunction,
    };

    internal static Argument<PciAddress?> OptionalFunction() => new("function")
    {
        Description = "A function of this machine: 0000:01:00.0; without one, all.",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result => ParseFunction(result),
    };

    /// <summary>How long the server of an address is waited for; see <see cref="OpenOptions"/>.</summary>
    /// <param name="otherwise">What it is when it is not given.</param>
    internal static Option<TimeSpan?> Timeout(TimeSpan? otherwise = null) => new("--timeout")
    {
        Description = "How long a server may take to take this client, and over each request: 500ms, 5s, 2min or infinite; "
            + $"{(otherwise ?? DefaultTimeout).TotalSeconds}s unless said.",
        CustomParser = ParseTimeout,
        Recursive = true,
    };

    /// <summary>How to open an address, by what a person typed.</summary>
    internal static VfioDeviceOptions OpenOptions(this ParseResult parsed, Option<TimeSpan?> timeout, TimeSpan? otherwise = null) =>
        new() { Timeout = parsed.GetValue(timeout) ?? otherwise ?? DefaultTimeout };

    internal static Option<bool> Json() => new("--json") { Description = "Print JSON for machines." };

    internal static Argument<RegionIndex> Region() => new("region")
    {
        Description = "bar0 to bar5, rom or config.",
        CustomParser = ParseRegion,
    };

    internal static Argument<ulong> Offset() => Number("offset", "Where in the region, in bytes; 0x for hex.");

    internal static Argument<ulong> Number(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = result => ParseNumber(result),
    };

    internal static Option<ulong> NumberOption(string name, string description, ulong otherwise) => new(name)
    {
        Description = description,
        CustomParser = result => ParseNumber(result),
        DefaultValueFactory = _ => otherwise,
    };

    internal static Option<int> Width()
    {
        Option<int> width = new("--width", "-w") { Description = "Bytes in one access: 1, 2, 4 or 8.", DefaultValueFactory = _ => 4 };
        width.AcceptOnlyFromAmong("1", "2", "4", "8");
        return width;
    }

    /// <summary>Refuses what a person typed unless it is right.</summary>
    /// <remarks>A check of the option's own: those of a command see nothing where an option that has a default is left out.</remarks>
    internal static Option<T> Checked<T>(this Option<T> option, Predicate<T> isRight, string rule)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !isRight(result.GetValueOrDefault<T>()!))
                result.AddError($"{option.Name} {rule}.");
        });
        return option;
    }

    private static PciAddress ParseFunction(ArgumentResult result)
    {
        string word = result.Tokens[0].Value;
        if (!PciAddress.TryParse(word.StartsWith("pci:", StringComparison.Ordinal) ? word[4..] : word, out PciAddress address))
            result.AddError($"'{word}' is no function: write 0000:01:00.0.");
        return address;
    }

    private static TimeSpan? ParseTimeout(ArgumentResult result)
    {
        if (DeviceAddress.TryParseTimeout(result.Tokens[0].Value, out TimeSpan timeout))
            return timeout;
        result.AddError($"'{result.Tokens[0].Value}' is no timeout of up to a day: write 500ms, 5s, 2min or infinite.");
        return null;
    }

    private static RegionIndex ParseRegion(ArgumentResult result)
    {
        string word = result.Tokens[0].Value.ToLowerInvariant();
        switch (word)
        {
            case "config":
                return RegionIndex.Config;
            case "rom":
                return RegionIndex.Rom;
            case ['b', 'a', 'r', >= '0' and <= '5' and char number]:
                return RegionIndex.Bar(number - '0');
            default:
                result.AddError($"'{word}' is no region: bar0 to bar5, rom or config.");
                return default;
        }
    }

    private static ulong ParseNumber(ArgumentResult result)
    {
        string word = result.Tokens[0].Value;
        bool hex = word.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (ulong.TryParse(
            hex ? word.AsSpan(2) : word, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out ulong value))
        {
            return value;
        }

        result.AddError($"'{word}' is no number: write 16 or 0x10.");
        return 0;
    }
}
