using System.Text;
using Vfio.Devices;
using Vfio.Pci;
using Vfio.Tracing.Names;

namespace Vfio.Tracing;

/// <summary>Names of a device's registers and fields: of config space from the tables of its capabilities, of BARs from the tables of known
/// devices and of the user.</summary>
/// <remarks>Immutable; any thread may use it.</remarks>
public sealed class RegisterNames
{
    private readonly Dictionary<(uint Region, ulong Offset), NamedRegister> _byByte = [];

    // The names of a user's table, which take precedence; null for none.
    private readonly RegisterNames? _users;

    private RegisterNames(IEnumerable<NamedRegister> registers, RegisterNames? users)
    {
        _users = users;

        // A later register takes precedence.
        foreach (NamedRegister register in registers)
        {
            for (int i = 0; i < register.Bytes; i++)
                _byByte[(register.Region, register.Offset + (ulong)i)] = register;
        }
    }

    /// <summary>No names.</summary>
    public static RegisterNames None { get; } = new([], users: null);

    /// <summary>All registers that have names; the user's table takes precedence.</summary>
    internal IEnumerable<NamedRegister> Registers =>
        (_users?.Registers ?? []).Concat(_byByte.Values.Distinct().Where(register => _users?.RegisterAt(new RegionIndex(register.Region), register.Offset) is null));

    /// <summary>The names of a device.</summary>
    /// <param name="config">Its config space; empty for a device that is no PCI function.</param>
    /// <param name="table">A table of the user's as JSON; empty for none.</param>
    /// <exception cref="FormatException">The table is not valid; the message says what is wrong, and where.</exception>
    public static RegisterNames For(ReadOnlySpan<byte> config, ReadOnlyMemory<byte> table = default)
    {
        RegisterNames users = table.IsEmpty ? None : new RegisterNames(RegisterTable.Parse(table), users: null);
        return config.IsEmpty ? users : For(config, users);
    }

    /// <summary>The names of a device, which share those of a user's table.</summary>
    internal static RegisterNames For(ReadOnlySpan<byte> config, RegisterNames users)
    {
        List<NamedRegister> registers = [];
        if (config.Length >= ConfigSpace.HeaderLength)
        {
            ConfigSpace space = new(config[..Math.Min(config.Length, ConfigSpace.ExtendedLength)]);
            registers.AddRange(ConfigNames.Of(space));
            uint classCode = space.Read32(8) >> 8;
            registers.AddRange(ModelCatalog.RegistersOf(space.VendorId, space.DeviceId, classCode)
                .Select(row => new NamedRegister(RegionIndex.Bar0.Value, row.Offset, row.Bytes, row.Name, [])));
        }

        return new RegisterNames(registers, users);
    }

    /// <summary>The name of the register at a place; null where none is known. Inside a register it is the name and the distance,
    /// <c>Status+2</c>.</summary>
    public string? Find(RegionIndex region, ulong offset)
    {
        if (RegisterAt(region, offset) is not { } register)
            return null;
        return register.Offset == offset ? register.Name : $"{register.Name}+{offset - register.Offset}";
    }

    /// <summary>The fields of a register that are not zero, between spaces: <c>BusMaster Mem</c>, <c>MPS=2</c>.</summary>
    /// <param name="region">The region.</param>
    /// <param name="offset">The offset of the access, in bytes.</param>
    /// <param name="bytes">Its width.</param>
    /// <param name="value">Its value.</param>
    /// <returns>Empty where no fields are known, or the access is not of one whole register.</returns>
    public string FieldsOf(RegionIndex region, ulong offset, int bytes, ulong value)
    {
        if (FieldsAt(region, offset, bytes) is not { Count: > 0 } fields)
            return "";
        StringBuilder text = new();
        foreach (NamedField field in fields)
        {
            ulong bits = field.Of(value);
            if (bits == 0)
                continue;
            text.Append(text.Length == 0 ? "" : " ").Append(field.Name);
            if (field.Format is not null)
                text.Append('=').Append(field.Format((uint)bits));
            else if (field.High > field.Low)
                text.Append("=0x").Append(bits.ToString("x"));
        }

        return text.ToString();
    }

    /// <summary>The fields of the register that an access is of.</summary>
    internal IReadOnlyList<NamedField>? FieldsAt(RegionIndex region, ulong offset, int bytes) =>
        RegisterAt(region, offset) is { } register && register.Offset == offset && register.Bytes == bytes ? register.Fields : null;

    private NamedRegister? RegisterAt(RegionIndex region, ulong offset) =>
        _users?.RegisterAt(region, offset) ?? _byByte.GetValueOrDefault((region.Value, offset));
}
