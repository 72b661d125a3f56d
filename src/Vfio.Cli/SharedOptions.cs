using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Vfio.Cli.Numbers;
using Vfio.Pci;
using Vfio.User.Leases;

namespace Vfio.Cli;

/// <summary>Arguments and options that several verbs take.</summary>
internal static class SharedOptions
{
    /// <summary>The timeout for a server when <c>--timeout</c> is not given.</summary>
    internal static readonly Duration DefaultTimeout = Duration.Seconds(10);

    /// <summary>Larger than any region or disk, and so small that sums do not wrap.</summary>
    internal const ulong MaxOffset = 1UL << 60;

    internal static Argument<string> Address() => new("address")
    {
        Description = "The device: 0000:01:00.0, unix:/run/x.sock[?timeout=5s&reconnect=5s], model:edu, lease:NAME or mdev:UUID.",
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

    /// <summary>The timeout for the server of an address; see <see cref="OpenOptions"/>.</summary>
    /// <param name="otherwise">The default.</param>
    internal static NumberOption<Duration> Timeout(Duration? otherwise = null) => new(
        "--timeout", NumberRules.Time(Duration.Milliseconds(1), Duration.Days(1), Duration.Seconds(5), infinite: true),
        otherwise ?? DefaultTimeout, "How long a server may take to take this client, and over each request.")
    {
        Recursive = true,
    };

    /// <summary>How to open an address, by the options of the command. What is wrong with a capture of the address is said on standard
    /// error.</summary>
    internal static VfioDeviceOptions OpenOptions(this ParseResult parsed, Option<Duration> timeout) =>
        new() { Timeout = parsed.GetValue(timeout), Logger = CaptureLines.Instance };

    /// <summary>The socket of the broker to ask.</summary>
    internal static Option<string?> Broker() => new("--broker")
    {
        HelpName = "path",
        Description = $"The broker's socket; {BrokerPlace.OfMachine} unless {BrokerPlace.Variable} names another.",
    };

    internal static Option<bool> Json() => new("--json") { Description = "Print JSON for machines." };

    internal static Argument<RegionIndex> Region() => new("region")
    {
        Description = "bar0 to bar5, rom or config.",
        CustomParser = ParseRegion,
    };

    internal static NumberArgument<ulong> Offset() =>
        new("offset", NumberRules.Size<ulong>(0, MaxOffset, 64), "Where in the region, in bytes; 0x for hex.");

    internal static NumberOption<int> Width() => new("--width", NumberRules.OneOf(1, 2, 4, 8), 4, "Bytes in one access.", "-w");

    private static PciAddress ParseFunction(ArgumentResult result)
    {
        string word = result.Tokens[0].Value;
        if (!PciAddress.TryParse(word.StartsWith("pci:", StringComparison.Ordinal) ? word[4..] : word, out PciAddress address))
            result.AddError($"'{word}' is no function: write 0000:01:00.0.");
        return address;
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
            case ['r', 'e', 'g', 'i', 'o', 'n', .. string number] when uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint index):
                return new RegionIndex(index);
            default:
                result.AddError($"'{word}' is no region: bar0 to bar5, rom or config; of a device that is not on PCI region0, region1 and so on.");
                return default;
        }
    }
}
