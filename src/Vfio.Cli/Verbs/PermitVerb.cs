using System.CommandLine;
using System.Text.Json;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Permits registers of config space that no table describes.</summary>
internal sealed class PermitVerb() : Verb("permit", "Let the users of a function access registers that no table describes.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio permit 0000:04:00.0 0x40 0xffffffff 0x1", "bit 0 at 0x40 may be written until the function is released"),
        new("vfio permit 0000:04:00.0 0x40 0xffffffff 0x1 --save", "for every later user too"),
        new("vfio permit 0000:04:00.0", "list what is permitted"),
        new("vfio permit 0000:04:00.0 0x40 --remove", "take it back"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = SharedOptions.Function();
        OptionalNumberArgument<ulong> offset = new("offset", NumberRules.Register(0xffc, 0x40), "Where, a multiple of 4.");
        OptionalNumberArgument<ulong> readBits = new("readbits", NumberRules.Register(uint.MaxValue, 0xffffffff), "Bits that may be read.");
        OptionalNumberArgument<ulong> writeBits = new(
            "writebits", NumberRules.Register(uint.MaxValue, 1), "Bits that may be written; all of them may be read.");
        Option<bool> save = new("--save") { Description = "Keep it for every later user, also after a reboot (/etc/vfio/permits)." };
        Option<bool> remove = new("--remove") { Description = "Take the permits of this offset back." };
        Option<bool> json = SharedOptions.Json();
        command.Add(function);
        command.Add(offset);
        command.Add(readBits);
        command.Add(writeBits);
        command.Add(save);
        command.Add(remove);
        command.Add(json);
        command.SetAction(parsed =>
        {
            KernelFunction found = new PciTopology().Find(parsed.GetValue(function));
            PermitStore store = new();
            switch (parsed.GetValue(offset), parsed.GetValue(readBits), parsed.GetValue(writeBits), parsed.GetValue(remove))
            {
                case ({ } at, { } read, { } write, false):
                    store.Add(found, new StoredPermit((int)at, (uint)read, (uint)write) { IsSaved = parsed.GetValue(save) });
                    break;
                case ({ } at, null, null, true) when !parsed.GetValue(save):
                    if (!store.Remove(found, (int)at))
                        throw new VfioException("permit", found.ToString(), Errno.NoEntry, $"nothing is permitted at 0x{at:x}");
                    break;
                case (null, null, null, false) when !parsed.GetValue(save):
                    break;
                default:
                    throw new MisuseException("Give an offset with bits to read and to write, an offset with --remove, or neither.");
            }

            Show(parsed.InvocationConfiguration.Output, found, store.Of(found), parsed.GetValue(json));
        });
    }

    private static void Show(TextWriter output, KernelFunction function, IReadOnlyList<StoredPermit> permits, bool asJson)
    {
        if (asJson)
        {
            Json.Print(output, writer => Write(writer, function, permits));
            return;
        }

        if (permits.Count == 0)
        {
            output.WriteLine($"{function}: nothing is permitted beside the tables");
            return;
        }

        TextTable.Print(output, ["OFFSET", "READ", "WRITE", "UNTIL"], permits.Select(permit => (IReadOnlyList<string>)
            [$"0x{permit.Offset:x}", $"0x{permit.ReadBits:x8}", $"0x{permit.WriteBits:x8}", permit.IsSaved ? "removed" : "released"]));
    }

    private static void Write(Utf8JsonWriter writer, KernelFunction function, IReadOnlyList<StoredPermit> permits)
    {
        writer.WriteStartObject();
        writer.WriteString("function", function.ToString());
        writer.WriteStartArray("permits");
        foreach (StoredPermit permit in permits)
        {
            writer.WriteStartObject();
            writer.WriteNumber("offset", permit.Offset);
            writer.WriteNumber("readBits", permit.ReadBits);
            writer.WriteNumber("writeBits", permit.WriteBits);
            writer.WriteBoolean("saved", permit.IsSaved);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
