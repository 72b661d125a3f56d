using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Capabilities of root complexes: PCI Express Base 6.0, sections 7.9.7 to 7.9.10. All fixed: they describe the machine.</summary>
internal static class RootComplexTables
{
    private const int FirstLink = 0x10;
    private const int LinkBytes = 0x10;

    internal static readonly CapabilityTable LinkDeclaration =
        new(0x05, true, "Root Complex Link", LinkLayout) { Describe = DescribeLinks };

    internal static readonly CapabilityTable EventCollector =
        new(0x07, true, "Root Complex Event Collector Endpoint Association", EventCollectorLayout) { Describe = DescribeEventCollector };

    private static readonly Register Self = new(0x04, 4, "Desc")
    {
        { "EltType", 3, 0, Fixed, ElementType },
        { "Links", 15, 8, Fixed, FieldText.Decimal },
        { "ComponentID", 23, 16, Fixed, id => $"{id:x2}" },
        { "PortNumber", 31, 24, Fixed, port => $"{port:x2}" },
    };

    private static readonly CapabilityLayout InternalLinkLayout = new(0x0c,
    [
        new Register(0x04, 4, "RCLnkCap")
        {
            { "Speed", 3, 0, Fixed, ExpressFieldText.Speed },
            { "Width", 9, 4, Fixed, width => $"x{width}" },
            { "ASPM", 11, 10, Fixed, ExpressFieldText.AspmSupport },
            { "L0s", 14, 12, Fixed, ExpressFieldText.L0sLatency },
            { "L1", 17, 15, Fixed, ExpressFieldText.L1Latency },
            { "SpeedVector", 24, 18, Fixed },
        },
        new Register(0x08, 2, "RCLnkCtl") { { "ASPM", 1, 0, Fixed, ExpressFieldText.AspmEnabled }, { "ExtSynch", 7, Fixed } },
        new Register(0x0a, 2, "RCLnkSta")
        {
            { "Speed", 3, 0, Fixed, ExpressFieldText.Speed },
            { "Width", 9, 4, Fixed, width => $"x{width}" },
        },
    ]);

    private static readonly CapabilityLayout RegisterBlockLayout = new(0x14,
    [
        new Register(0x04, 2, "VendorID") { { "Vendor", 15, 0, Fixed, id => $"{id:x4}" } },
        new Register(0x06, 2, "DeviceID") { { "Device", 15, 0, Fixed, id => $"{id:x4}" } },
        new Register(0x08, 4, "RCRBCap") { { "CRSVisible", 0, Fixed } },
        new Register(0x0c, 4, "RCRBCtl") { { "CRSVisible", 0, Fixed } },
    ]);

    internal static readonly CapabilityTable InternalLink = new(0x06, true, "Root Complex Internal Link", _ => InternalLinkLayout);

    internal static readonly CapabilityTable RegisterBlock = new(0x0a, true, "Root Complex Register Block", _ => RegisterBlockLayout);

    private static CapabilityLayout LinkLayout(CapabilityView view)
    {
        int count = (int)view.Read(4, 4).Get(15, 8);
        return new(FirstLink + (LinkBytes * count), [Self, .. Enumerable.Range(0, count).SelectMany(Link)]);
    }

    private static Register[] Link(int index)
    {
        int offset = FirstLink + (LinkBytes * index);
        return
        [
            new Register(offset, 4, $"Link{index}")
            {
                { "LinkValid", 0, Fixed },
                { "LinkType", 1, 1, Fixed, type => type == 0 ? "MemMapped" : "Config" },
                { "AssocRCRB", 2, Fixed },
                { "TargetComponent", 23, 16, Fixed, id => $"{id:x2}" },
                { "TargetPort", 31, 24, Fixed, port => $"{port:x2}" },
            },
            new Register(offset + 8, 4, $"Link{index}Low") { { "Address", 31, 0, Fixed } },
            new Register(offset + 12, 4, $"Link{index}High") { { "Address", 31, 0, Fixed } },
        ];
    }

    private static void DescribeLinks(CapabilityText text)
    {
        text.Line("Desc", "Desc:\tPortNumber={PortNumber} ComponentID={ComponentID} EltType={EltType}");
        int count = text.Has("Desc") ? (int)text.Get("Desc", "Links") : 0;
        for (int index = 0; index < count; index++)
        {
            string link = $"Link{index}";
            if (!text.Has($"{link}High"))
            {
                text.Add($"{link}:\t<unreadable>");
                return;
            }

            text.Line(link, $"{link}:\tDesc:\tTargetPort={{TargetPort}} TargetComponent={{TargetComponent}} {{AssocRCRB}} "
                + "LinkType={LinkType} {LinkValid}");
            uint low = text.Value($"{link}Low");
            string address = $"{text.Value($"{link}High"):x8}{low:x8}";
            text.Add(text.IsSet(link, "LinkType")
                ? $"\tAddr:\t{ConfigPlace(low)}  CfgSpace={address}"
                : $"\tAddr:\t{address}");
        }
    }

    // The low bits say how many bits of the bus number are decoded, 8 as 0.
    private static string ConfigPlace(uint address)
    {
        int busBits = address.Get(2, 0) is var bits and not 0 ? (int)bits : 8;
        return $"{address.Get(19 + busBits, 20):x2}:{address.Get(19, 15):x2}.{address.Get(14, 12)}";
    }

    private static CapabilityLayout EventCollectorLayout(CapabilityView view)
    {
        Register bitmap = new(0x04, 4, "RCiEPBitmap") { { "Devices", 31, 0, Fixed } };
        return view.Version < 2
            ? new(0x08, [bitmap])
            : new(0x0c, [bitmap, new(0x08, 4, "AssociatedBusNumbers") { { "Next", 15, 8, Fixed }, { "Last", 23, 16, Fixed } }]);
    }

    private static void DescribeEventCollector(CapabilityText text)
    {
        if (!text.Has("RCiEPBitmap"))
            return;
        uint devices = text.Value("RCiEPBitmap");
        text.Add("RCiEPBitmap: " + (devices == 0 ? "00000000 [none]" : $"RCiEP at Device(s):{Ranges(devices)}"));
        if (!text.Has("AssociatedBusNumbers"))
            return;
        uint next = text.Get("AssociatedBusNumbers", "Next");
        uint last = text.Get("AssociatedBusNumbers", "Last");
        text.Add($"AssociatedBusNumbers: {next:x2}-{last:x2}{(next == 0xff && last == 0 ? " [none]" : "")}");
    }

    private static string Ranges(uint bits)
    {
        List<string> ranges = [];
        for (int start = 0; start < 32; start++)
        {
            if (!bits.Get(start))
                continue;
            int end = start;
            while (end < 31 && bits.Get(end + 1))
                end++;
            ranges.Add(start == end ? $" {start}" : $" {start}-{end}");
            start = end;
        }

        return string.Join(',', ranges);
    }

    private static string ElementType(uint code) => code switch
    {
        0 => "Config",
        1 => "Egress",
        2 => "Internal",
        _ => $"??{code}",
    };
}
