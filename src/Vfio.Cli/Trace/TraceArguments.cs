using System.CommandLine;
using System.CommandLine.Parsing;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Tracing;
using Vfio.Tracing.Names;

namespace Vfio.Cli.Trace;

/// <summary>The options that say what of a device is traced.</summary>
internal sealed class TraceArguments
{
    private const int MostLast = 1 << 24;

    private readonly Option<TraceFilter?> _only = new("--only")
    {
        HelpName = "what",
        Description = "Keep only these, between commas: bar0, bar0:0x10-0x1f, config, config:4, rom, irq, dma, map, reset, migration.",
        CustomParser = result => Parse(result, TraceFilter.Parse),
    };

    private readonly Option<TraceTrigger?> _start = new("--start-at")
    {
        HelpName = "event",
        Description = "Begin with this event: bar0:0x14, bar0:0x14=0x1, irq, reset, error, 1000 (events) or 5s.",
        CustomParser = result => Parse(result, TraceTrigger.Parse),
    };

    private readonly Option<TraceTrigger?> _stop = new("--stop-after")
    {
        HelpName = "event",
        Description = "End the trace with this event, counted from the begin; the device goes on.",
        CustomParser = result => Parse(result, TraceTrigger.Parse),
    };

    private readonly OptionalNumberOption<int> _last = new(
        "--last", NumberRules.Count(1, MostLast, 1000), "Keep the last events, in memory until the end.");

    private readonly Option<string?> _dma = new("--dma")
    {
        HelpName = "on|off",
        Description = "See the device's accesses to memory: it then reaches memory through the trace alone. On for models, off for others; not for devices of the kernel.",
    };

    private readonly Option<bool> _redact = new("--redact-dma") { Description = "Of memory, keep sizes and hashes only." };
    private readonly Option<bool> _mapping = new("--allow-mmap") { Description = "Let BARs be mapped: what is accessed by mapping is fast, and not seen." };

    internal TraceArguments() => _dma.AcceptOnlyFromAmong("on", "off");

    /// <summary>The table of register names; see <see cref="ReadTable"/>.</summary>
    internal static Option<string?> Table() =>
        new("--names") { HelpName = "file", Description = "A table of register names as JSON; 'vfio trace --schema' prints its schema." };

    /// <summary>Adds them to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="withLast">Whether events may be kept in memory until the end.</param>
    internal void AddTo(Command command, bool withLast = true)
    {
        command.Add(_only);
        command.Add(_start);
        command.Add(_stop);
        if (withLast)
            command.Add(_last);
        command.Add(_dma);
        command.Add(_redact);
        command.Add(_mapping);
    }

    /// <summary>What to trace.</summary>
    /// <param name="parsed">The command.</param>
    /// <param name="address">The device.</param>
    /// <param name="maxDataBytes">How many bytes are kept of a long access.</param>
    internal TraceOptions Of(ParseResult parsed, string address, int maxDataBytes) => new()
    {
        Filter = parsed.GetValue(_only),
        Start = parsed.GetValue(_start),
        Stop = parsed.GetValue(_stop),
        Last = parsed.GetValue(_last) ?? 0,
        SeesDma = parsed.GetValue(_dma) is { } dma ? dma == "on" : address.StartsWith("model:", StringComparison.Ordinal),
        RedactsDma = parsed.GetValue(_redact),
        AllowMapping = parsed.GetValue(_mapping),
        MaxDataBytes = maxDataBytes,
    };

    /// <summary>Reads and checks a table of names.</summary>
    /// <exception cref="VfioException">It cannot be read, or is not valid.</exception>
    internal static byte[] ReadTable(string? path)
    {
        if (path is null)
            return [];
        using FileStream file = UserFile.OpenRead(path);
        byte[] bytes = new byte[RegisterTable.MaxBytes + 1];
        int count = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        try
        {
            RegisterNames.For(default, bytes.AsMemory(0, count));
        }
        catch (FormatException wrong)
        {
            throw new VfioException("reading the register table", path, Errno.InvalidArgument, wrong.Message);
        }

        return bytes[..count];
    }

    private static T? Parse<T>(ArgumentResult result, Func<string, T> parse)
        where T : class
    {
        try
        {
            return parse(result.Tokens[0].Value);
        }
        catch (FormatException refusal)
        {
            result.AddError($"{refusal.Message}.");
            return null;
        }
    }
}
