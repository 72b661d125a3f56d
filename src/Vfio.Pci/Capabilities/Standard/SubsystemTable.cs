using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Subsystem ids of a bridge: PCI-to-PCI Bridge 1.2, section 13.4.</summary>
internal static class SubsystemTable
{
    internal const ushort Id = 0x0d;

    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x04, 2, "VendorID") { { "Vendor", 15, 0, Fixed } },
        new Register(0x06, 2, "SubsystemID") { { "Device", 15, 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(Id, false, "Subsystem", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("SubsystemID"))
            return;
        FunctionFacts facts = text.Facts;
        string name = facts.Names.Subsystem(
            facts.VendorId ?? text.Space.VendorId,
            facts.DeviceId ?? text.Space.DeviceId,
            (ushort)text.Value("VendorID"),
            (ushort)text.Value("SubsystemID"));
        text.Title = $"Subsystem: {name}";
    }
}
