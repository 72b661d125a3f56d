using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;

namespace Vfio.Cli.Verbs;

/// <summary>Reads registers of a region.</summary>
internal sealed class PeekVerb() : Verb("peek", "Read registers of a region.")
{
    private const int MaxCount = 1 << 16, MaxRepeat = 1_000_000_000;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio peek model:edu bar0 0x0", "the identification register of edu"),
        new("vfio peek unix:/run/edu.sock config 0x4 -w 2", "COMMAND"),
        new("vfio peek 0000:00:03.0 config 0x0 -n 4", "the first four words of a function's config space"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        Argument<RegionIndex> region = SharedOptions.Region();
        NumberArgument<ulong> offset = SharedOptions.Offset();
        NumberOption<int> width = SharedOptions.Width();
        NumberOption<int> count = new("--count", NumberRules.Count(1, MaxCount, 4), 1, "How many registers, one after the other.", "-n");
        NumberOption<int> repeat = new("--repeat", NumberRules.Count(1, MaxRepeat, 100), 1, "Read that often and print the last.");
        Option<bool> json = SharedOptions.Json();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.Add(region);
        command.Add(offset);
        command.Add(width);
        command.Add(count);
        command.Add(repeat);
        command.Add(json);
        command.SetAction(parsed =>
        {
            using RegisterAccess access = RegisterAccess.Open(parsed.GetValue(address)!, parsed.GetValue(region), parsed.OpenOptions(timeout));
            int bytes = parsed.GetValue(width);
            for (int i = 1; i < parsed.GetValue(repeat); i++)
                access.Read(parsed.GetValue(offset), bytes);
            (ulong Offset, ulong Value)[] values = [.. Enumerable.Range(0, parsed.GetValue(count)).Select(i =>
            {
                ulong at = parsed.GetValue(offset) + ((ulong)i * (ulong)bytes);
                return (at, access.Read(at, bytes));
            })];
            Print(parsed.InvocationConfiguration.Output, values, bytes, parsed.GetValue(json));
        });
    }

    private static void Print(TextWriter output, (ulong Offset, ulong Value)[] values, int bytes, bool json)
    {
        if (json)
        {
            Json.Print(output, writer =>
            {
                writer.WriteStartArray();
                foreach ((ulong at, ulong value) in values)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("offset", at);
                    writer.WriteNumber("value", value);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
            });
            return;
        }

        foreach ((ulong at, ulong value) in values)
            output.WriteLine(values.Length == 1 ? Hex(value, bytes) : $"{at:x4}: {Hex(value, bytes)}");
    }

    private static string Hex(ulong value, int bytes) => "0x" + value.ToString("x" + (2 * bytes));
}
