using Vfio.Pci.Capabilities;

namespace Vfio.Pci.Rules;

/// <summary>The header or a capability, as a range of config space with registers in it.</summary>
/// <param name="Name">Its name, with its offset for a capability.</param>
/// <param name="Offset">Where it starts, in bytes.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="Registers">Its registers, offsets from <paramref name="Offset"/>.</param>
internal sealed record RuledStructure(string Name, int Offset, int Length, IReadOnlyList<Register> Registers)
{
    /// <summary>Where it is specified; null where that is not known.</summary>
    internal string? Specification { get; private init; }

    internal static IEnumerable<RuledStructure> Of(ConfigSpace space, CapabilityList capabilities) =>
        capabilities.Items
            .Select(item => new RuledStructure(
                $"{item.Heading} {item.Name}", item.Offset, Math.Min(item.LengthBytes, Room(item)), item.Registers)
            {
                Specification = SpecificationSections.Find(item.Id, item.IsExtended),
            })
            .Prepend(new RuledStructure("Header", 0, ConfigSpace.HeaderLength, HeaderTable.Of(space)) { Specification = SpecificationSections.Header });

    /// <summary>How many bytes there are for a capability: a standard one ends with conventional config space.</summary>
    internal static int Room(Capability item) =>
        (item.IsExtended ? ConfigSpace.ExtendedLength : ConfigSpace.ConventionalLength) - item.Offset;

    internal Register? Find(int offset) =>
        Registers.FirstOrDefault(register => offset >= Offset + register.Offset && offset < Offset + register.Offset + register.Bytes);
}
