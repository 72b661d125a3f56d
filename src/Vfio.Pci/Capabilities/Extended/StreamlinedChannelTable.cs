using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Streamlined Virtual Channel: PCI Express Base 6.2, section 7.9.29. Three registers for each channel.</summary>
/// <remarks>All fixed: arbitration shares a link with others.</remarks>
internal static class StreamlinedChannelTable
{
    internal static readonly CapabilityTable Table = new(0x35, true, "Streamlined Virtual Channel", Layout);

    private static readonly Register[] Port =
    [
        new Register(0x04, 4, "Caps") { { "EVC", 2, 0, Fixed, FieldText.Decimal } },
        new Register(0x08, 4, "Caps2") { { "Value", 31, 0, Fixed } },
        new Register(0x0c, 4, "Ctrl") { { "EnablementComplete", 0, Fixed } },
        new Register(0x10, 4, "Status") { { "UseVC", 0, FixedStatus } },
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int channels = (int)view.Read(4, 4).Get(2, 0) + 1;
        return new(0x14 + (12 * channels), [.. Port, .. Enumerable.Range(0, channels).SelectMany(Channel)]);
    }

    private static Register[] Channel(int number)
    {
        int offset = 0x14 + (12 * number);
        return
        [
            new Register(offset, 4, $"VC{number}Caps") { { "Value", 31, 0, Fixed } },
            new Register(offset + 4, 4, $"VC{number}Ctrl")
            {
                { "TC/VC", 7, 0, Fixed },
                { "ID", 26, 24, Fixed, FieldText.Decimal },
                { "Enable", 31, Fixed },
            },
            new Register(offset + 8, 4, $"VC{number}Status") { { "Value", 31, 0, Fixed } },
        ];
    }
}
