using Vfio.Pci.Capabilities;

namespace Vfio.Pci.Decoding;

/// <summary>The line that names a function.</summary>
internal static class FunctionTitle
{
    internal static string Of(ConfigSpace space, FunctionFacts facts)
    {
        string address = facts.Address is { } at ? (facts.ShowDomain ? $"{at} " : $"{at.ToShortString()} ") : "";
        ushort code = space.Read16(0x0a);
        byte revision = space.Read8(0x08);
        byte interfaceCode = space.Read8(0x09);
        string name = facts.Names.Device(facts.VendorId ?? space.VendorId, facts.DeviceId ?? space.DeviceId);
        string revisionPart = space.Knows(8, 1) && revision != 0 ? $" (rev {revision:x2})" : "";
        string? interfaceName = facts.Names.Interface(code, interfaceCode);
        string interfacePart = interfaceName is not null ? $" (prog-if {interfaceCode:x2} [{interfaceName}])"
            : interfaceCode != 0 ? $" (prog-if {interfaceCode:x2})"
            : "";
        return $"{address}{facts.Names.Class(code)}: {name}{revisionPart}{interfacePart}";
    }
}
