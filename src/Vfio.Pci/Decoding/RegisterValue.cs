using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;

namespace Vfio.Pci.Decoding;

/// <summary>A register and its value.</summary>
/// <param name="Register">The register.</param>
/// <param name="Offset">Where it is in config space, in bytes.</param>
/// <param name="Value">What it held.</param>
internal sealed record RegisterValue(Register Register, int Offset, uint Value)
{
    /// <summary>Its fields and what they held.</summary>
    public IEnumerable<FieldValue> Fields =>
        Register.Fields.Select(part => new FieldValue(part, Value.Get(part.High, part.Low)));

    internal static IReadOnlyList<RegisterValue> Read(ConfigSpace space, int start, IEnumerable<Register> registers) =>
    [
        .. registers
            .Where(register => space.Knows(start + register.Offset, register.Bytes))
            .Select(register => new RegisterValue(register, start + register.Offset, space.Read(start + register.Offset, register.Bytes))),
    ];
}
