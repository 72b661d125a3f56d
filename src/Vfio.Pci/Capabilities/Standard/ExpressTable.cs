using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>PCI Express: PCI Express Base 6.0, section 7.5.3. What is there depends on its version and on the kind of port.</summary>
internal static class ExpressTable
{
    internal const ushort Id = 0x10;

    internal static readonly CapabilityTable Table = new(Id, false, "Express", Layout) { Describe = ExpressText.Describe };

    private static readonly Register Flags = new(0x02, 2, "Flags")
    {
        { "Version", 3, 0, Fixed, FieldText.Decimal },
        { "Type", 7, 4, Fixed, ExpressFieldText.PortType },
        { "Slot", 8, Fixed },
        { "MSI", 13, 9, Fixed, number => $"{number:x2}" },
    };

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint flags = view.Read(2, 2);
        bool isSecond = flags.Get(3, 0) >= 2;
        PortType type = (PortType)flags.Get(7, 4);
        bool hasLink = type is not (PortType.IntegratedEndpoint or PortType.EventCollector);
        bool hasSlot = flags.Get(8) && type is PortType.RootPort or PortType.DownstreamPort or PortType.PciToExpressBridge;
        bool isRoot = type is PortType.RootPort or PortType.EventCollector;

        List<Register> registers = [Flags, .. ExpressDeviceRegisters.First];
        int length = 0x0c;
        Add(hasLink, ExpressLinkRegisters.First, 0x14);
        Add(hasSlot, ExpressPortRegisters.Slot, 0x1c);
        Add(isRoot, ExpressPortRegisters.Root, 0x24);
        Add(isSecond, ExpressDeviceRegisters.Second, 0x2c);
        Add(isSecond && hasLink, ExpressLinkRegisters.Second, 0x34);
        Add(isSecond && hasSlot, ExpressPortRegisters.SecondSlot, 0x3c);
        return new(length, registers);

        void Add(bool isThere, Register[] more, int end)
        {
            if (!isThere)
                return;
            registers.AddRange(more);
            length = end;
        }
    }
}
