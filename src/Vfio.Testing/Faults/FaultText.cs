using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Vfio.Testing.Faults;

/// <summary>Faults as text: <c>KIND[=ARGUMENT][@FIRST[+TIMES]]</c>.</summary>
internal static partial class FaultText
{
    // Those that VFIO answers with; another one by its number.
    private static readonly Dictionary<string, Errno> Names = new(StringComparer.OrdinalIgnoreCase)
    {
        ["EPERM"] = Errno.OperationNotPermitted,
        ["EIO"] = Errno.InputOutput,
        ["ENOMEM"] = Errno.NoMemory,
        ["EFAULT"] = Errno.BadAddress,
        ["EBUSY"] = Errno.Busy,
        ["ENODEV"] = Errno.NoDevice,
        ["EINVAL"] = Errno.InvalidArgument,
        ["ENOSPC"] = Errno.NoSpace,
    };

    private const string Examples =
        "unplug@1000, read=bar0:0x1c, read=bar0:0x1c=0x3, lose-write=bar0:0x1000-0x1fff, lose-interrupt@3+1, late-interrupt=20ms, "
        + "refuse-dma=ENOMEM@2, fail-reset";

    /// <summary>What was wrong with a text, and what is right.</summary>
    internal static string Hint(string why) => $"{why}; faults are such as {Examples}";

    /// <summary>Reads a fault.</summary>
    /// <param name="text">The text.</param>
    /// <param name="fault">The fault; null when the text is none.</param>
    /// <param name="why">Why it is none.</param>
    internal static bool TryParse(string text, [NotNullWhen(true)] out Fault? fault, [NotNullWhen(false)] out string? why)
    {
        fault = null;
        Match match = Form().Match(text);
        if (!match.Success)
            return Refuse("it has not the form KIND[=ARGUMENT][@FIRST[+TIMES]]", out why);
        long first = 1, times = long.MaxValue;
        if (match.Groups["first"].Success && (!TryCount(match.Groups["first"].ValueSpan, out first) || first == 0))
            return Refuse("what is after @ is not a number from 1 on", out why);
        if (match.Groups["times"].Success && (!TryCount(match.Groups["times"].ValueSpan, out times) || times == 0))
            return Refuse("what is after + is not a number from 1 on", out why);
        string? argument = match.Groups["argument"].Success ? match.Groups["argument"].Value : null;
        fault = Of(match.Groups["kind"].Value, argument, out why)?.From(first).Times(times);
        return fault is not null;
    }

    private static bool Refuse(string reason, out string why)
    {
        why = reason;
        return false;
    }

    private static bool TryCount(ReadOnlySpan<char> text, out long count) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count);

    private static Fault? Of(string kind, string? argument, out string? why)
    {
        why = null;
        switch (kind, argument)
        {
            case ("unplug", null):
                return Fault.Unplugs();
            case ("lose-interrupt", null):
                return Fault.LosesInterrupts();
            case ("fail-reset", null):
                return Fault.FailsReset();
            case ("refuse-dma", null):
                return Fault.RefusesDma();
            case ("fail-reset", { } name) when TryErrno(name, out Errno errno):
                return Fault.FailsReset(errno);
            case ("refuse-dma", { } name) when TryErrno(name, out Errno errno):
                return Fault.RefusesDma(errno);
            case ("fail-reset" or "refuse-dma", _):
                why = $"'{argument}' is no errno such as EIO or 5";
                return null;
            case ("late-interrupt", { } time):
                return OfTime(time, out why);
            case ("read" or "lose-write", { } place):
                return OfRegister(kind == "read", place, out why);
            default:
                why = argument is null ? $"'{kind}' needs an argument, or is no kind of fault" : $"'{kind}' takes no argument, or is no kind of fault";
                return null;
        }
    }

    private static Fault? OfTime(string text, out string? why)
    {
        Match match = Time().Match(text);
        why = "the time is not such as 500us, 20ms or 1s, at most 60s";
        if (!match.Success)
            return null;
        double scale = match.Groups["unit"].Value switch { "us" => 1e-6, "ms" => 1e-3, _ => 1 };
        TimeSpan delay = TimeSpan.FromSeconds(double.Parse(match.Groups["number"].ValueSpan, CultureInfo.InvariantCulture) * scale);
        return delay > Fault.LongestDelay || delay == TimeSpan.Zero ? null : Fault.DelaysInterrupts(delay);
    }

    private static Fault? OfRegister(bool isRead, string text, out string? why)
    {
        Match match = Register().Match(text);
        why = "the register is not such as bar0:0x1c or config:4";
        if (!match.Success || !TryNumber(match.Groups["from"].ValueSpan, out ulong from))
            return null;
        ulong to = from, value = ulong.MaxValue;
        if (match.Groups["to"].Success && (!TryNumber(match.Groups["to"].ValueSpan, out to) || to < from || isRead))
        {
            why = isRead ? "one register is read, not a range" : "the range's end is before its begin";
            return null;
        }

        if (match.Groups["value"].Success && (!TryNumber(match.Groups["value"].ValueSpan, out value) || !isRead))
        {
            why = isRead ? "the value is no number" : "a lost write has no value";
            return null;
        }

        string name = match.Groups["region"].Value;
        bool isBar = name.StartsWith("bar", StringComparison.OrdinalIgnoreCase);
        RegionIndex region = isBar ? RegionIndex.Bar(name[^1] - '0') : RegionIndex.Config;
        return isRead ? Fault.ReadsAs(region, from, value) : Fault.LosesWrites(region, from, to);
    }

    private static bool TryErrno(string text, out Errno errno) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? (errno = (Errno)number) is > 0 and < (Errno)4096
            : Names.TryGetValue(text, out errno);

    private static bool TryNumber(ReadOnlySpan<char> text, out ulong number) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number)
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    [GeneratedRegex(@"^(?<kind>[a-z-]+)(=(?<argument>[^@]+))?(@(?<first>\d{1,18})(\+(?<times>\d{1,18}))?)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Form();

    [GeneratedRegex(@"^(?<number>\d{1,9})(?<unit>us|ms|s)$", RegexOptions.CultureInvariant)]
    private static partial Regex Time();

    [GeneratedRegex(@"^(?<region>bar[0-5]|config):(?<from>0x[0-9a-f]{1,16}|\d{1,19})(-(?<to>0x[0-9a-f]{1,16}|\d{1,19}))?(=(?<value>0x[0-9a-f]{1,16}|\d{1,19}))?$",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Register();
}
