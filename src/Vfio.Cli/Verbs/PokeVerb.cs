using System.CommandLine;
using Vfio.Cli.Numbers;

namespace Vfio.Cli.Verbs;

/// <summary>Writes one register of a region.</summary>
internal sealed class PokeVerb() : Verb("poke", "Write one register of a region, and read it back.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio poke unix:/run/edu.sock bar0 0x4 0x12345678", "write edu's liveness register; it answers with the complement"),
        new("vfio poke model:edu config 0x3c 0x0b -w 1", "INTERRUPT_LINE, one byte"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        Argument<RegionIndex> region = SharedOptions.Region();
        NumberArgument<ulong> offset = SharedOptions.Offset();
        NumberArgument<ulong> value = new("value", NumberRules.Register(ulong.MaxValue, 16), "What to write; 0x for hex.");
        NumberOption<int> width = SharedOptions.Width();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.Add(region);
        command.Add(offset);
        command.Add(value);
        command.Add(width);
        command.SetAction(parsed =>
        {
            using RegisterAccess access = RegisterAccess.Open(parsed.GetValue(address)!, parsed.GetValue(region), parsed.OpenOptions(timeout));
            int bytes = parsed.GetValue(width);
            ulong at = parsed.GetValue(offset);
            access.Write(at, bytes, parsed.GetValue(value));
            ulong after = access.Read(at, bytes);
            parsed.InvocationConfiguration.Output.WriteLine("0x" + after.ToString("x" + (2 * bytes)));
        });
    }
}
