using Vfio.Pci;
using Vfio.Pci.Rules;

namespace Vfio.Tracing.Names;

/// <summary>The registers of a config space, from the tables of its header and capabilities.</summary>
internal static class ConfigNames
{
    /// <summary>All registers that the tables know.</summary>
    internal static IEnumerable<NamedRegister> Of(ConfigSpace space)
    {
        foreach (RuledStructure structure in RuledStructure.Of(space, CapabilityList.Read(space)))
        {
            string prefix = structure.Offset == 0 ? "" : $"{structure.Name[(structure.Name.IndexOf(']') + 2)..]} ";
            foreach (Vfio.Pci.Capabilities.Register register in structure.Registers)
            {
                yield return new NamedRegister(
                    RegionIndex.Config.Value, (ulong)(structure.Offset + register.Offset), register.Bytes, prefix + register.Name,
                    [.. register.Fields.Where(field => field.High - field.Low + 1 < 8 * register.Bytes)
                        .Select(field => new NamedField(field.Name, field.High, field.Low, field.Format))]);
            }
        }
    }
}
