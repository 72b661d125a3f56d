using Vfio.Guard;

namespace Vfio.Devices;

/// <summary>A register of a known device.</summary>
/// <param name="Offset">Its offset in BAR0, in bytes.</param>
/// <param name="Bytes">Its width in bytes.</param>
/// <param name="Name">Its name.</param>
internal readonly record struct RegisterName(ulong Offset, int Bytes, string Name)
{
    /// <summary>The names of all registers of a table; of a series with their numbers.</summary>
    internal static IEnumerable<RegisterName> Of<TRegister>(RegisterMap<TRegister> map)
        where TRegister : struct, Enum => map.Rows.Select(row => new RegisterName(
            row.Offset, row.Bytes, map.Registers[row.Register].Count > 1 ? $"{row.Register}[{row.Index}]" : row.Register.ToString()));
}
