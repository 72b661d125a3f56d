using System.Text;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>Decodes a message into text, field by field in the order of the specification's tables.</summary>
internal static class MessageText
{
    private static readonly Field[] Access = [new("offset", 8), new("region", 4), new("count", 4), new("data", 0)];
    private static readonly Field[] Transfer = [new("address", 8), new("count", 8), new("data", 0)];
    private static readonly Field[] Versions = [new("major", 2), new("minor", 2), new("json", -1)];
    private static readonly Field[] Migration = [new("argsz", 4), new("size", 4), new("data", 0)];

    private static readonly Field[] Region =
        [new("argsz", 4), new("flags", 4), new("index", 4), new("cap_offset", 4), new("size", 8), new("offset", 8), new("capabilities", 0)];

    private static readonly Dictionary<Command, Field[]> Layouts = new()
    {
        [Command.Version] = Versions,
        [Command.DmaMap] = [new("argsz", 4), new("flags", 4), new("offset", 8), new("address", 8), new("size", 8)],
        [Command.DmaUnmap] = [new("argsz", 4), new("flags", 4), new("address", 8), new("size", 8), new("bitmap", 0)],
        [Command.DeviceGetInfo] = [new("argsz", 4), new("flags", 4), new("num_regions", 4), new("num_irqs", 4)],
        [Command.DeviceGetRegionInfo] = Region,
        [Command.DeviceGetRegionIoFds] = [new("argsz", 4), new("flags", 4), new("index", 4), new("count", 4), new("sub-regions", 0)],
        [Command.DeviceGetIrqInfo] = [new("argsz", 4), new("flags", 4), new("index", 4), new("count", 4)],
        [Command.DeviceSetIrqs] = [new("argsz", 4), new("flags", 4), new("index", 4), new("start", 4), new("count", 4), new("data", 0)],
        [Command.RegionRead] = Access,
        [Command.RegionWrite] = Access,
        [Command.DmaRead] = Transfer,
        [Command.DmaWrite] = Transfer,
        [Command.DeviceReset] = [],
        [Command.RegionWriteMulti] = [new("wr_cnt", 8), new("wrs", 0)],
        [Command.DeviceFeature] = [new("argsz", 4), new("flags", 4), new("data", 0)],
        [Command.MigDataRead] = Migration,
        [Command.MigDataWrite] = Migration,
    };

    /// <summary>Decodes bytes.</summary>
    internal static string Of(ReadOnlySpan<byte> bytes)
    {
        if (!Blittable.TryRead(bytes, out MessageHeader header))
            return $"{bytes.Length} bytes";
        StringBuilder text = new();
        string name = Enum.IsDefined(header.Command) ? NameOf(header.Command) : $"command {(ushort)header.Command}";
        string type = header.Type switch { MessageFlags.Command => "", MessageFlags.Reply => " reply", _ => $" of type {(uint)header.Type}" };
        text.Append($"{name}{type}, id {header.Id}");
        if (header.Size != bytes.Length)
            text.Append($", says {header.Size} bytes and has {bytes.Length}");
        if (header.WantsNoReply)
            text.Append(", no reply wanted");
        if (header.IsError)
            text.Append(header.Error == 0 ? ", error" : $", error {VfioException.Describe((Errno)header.Error)}");
        else
            AppendFields(text, bytes[MessageHeader.Length..], Layouts.GetValueOrDefault(header.Command) ?? []);
        return text.ToString();
    }

    /// <summary>A command as the specification spells it, without its prefix.</summary>
    internal static string NameOf(Command command)
    {
        StringBuilder name = new();
        foreach (char letter in command.ToString())
        {
            if (char.IsUpper(letter) && name.Length > 0)
                name.Append('_');
            name.Append(char.ToUpperInvariant(letter));
        }

        return name.ToString();
    }

    private static void AppendFields(StringBuilder text, ReadOnlySpan<byte> body, Field[] fields)
    {
        string separator = ": ";
        foreach (Field field in fields)
        {
            if (body.Length < Math.Max(1, field.Bytes))
                break;
            string value = field.Bytes switch
            {
                -1 => Encoding.UTF8.GetString(body).Replace("\0", "\\0", StringComparison.Ordinal),
                0 => $"{body.Length} bytes",
                2 => $"{Blittable.Read<ushort>(body)}",
                4 => Number(Blittable.Read<uint>(body)),
                _ => Number(Blittable.Read<ulong>(body)),
            };
            text.Append(separator).Append(field.Name).Append(' ').Append(value);
            separator = ", ";
            body = field.Bytes > 0 ? body[field.Bytes..] : [];
        }

        if (body.Length > 0)
            text.Append($"{separator}{body.Length} more bytes");
    }

    private static string Number(ulong value) => value < 10 ? $"{value}" : $"0x{value:x}";

    /// <summary>A field; 0 bytes for all that is left, -1 for text.</summary>
    private readonly record struct Field(string Name, int Bytes);
}
