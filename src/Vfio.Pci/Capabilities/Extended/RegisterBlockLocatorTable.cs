using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>MMIO Register Block Locator: PCI Express Base 6.2, section 7.9.30. Its first register has its length.</summary>
internal static class RegisterBlockLocatorTable
{
    internal static readonly CapabilityTable Table = new(0x36, true, "MMIO Register Block Locator", Layout) { Describe = Describe };

    private static readonly Register Caps = new(0x04, 4, "MRBLCap") { { "Length", 11, 0, Fixed, FieldText.Decimal } };

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int count = Math.Max(0, ((int)view.Read(4, 4).Get(11, 0) / 8) - 1);
        return new(8 + (8 * count), [Caps, .. Enumerable.Range(0, count).SelectMany(Locator)]);
    }

    private static Register[] Locator(int index) =>
    [
        new Register(8 + (8 * index), 4, $"Locator{index}")
        {
            { "BIR", 2, 0, Fixed, FieldText.Decimal },
            { "ID", 15, 8, Fixed, BlockName },
            { "OffsetLow", 31, 16, Fixed },
        },
        new Register(12 + (8 * index), 4, $"Locator{index}High") { { "Offset", 31, 0, Fixed } },
    ];

    private static void Describe(CapabilityText text)
    {
        for (int index = 0; text.Has($"Locator{index}High"); index++)
        {
            string locator = $"Locator{index}";
            text.Line(locator, $"{locator}: BIR: BAR{{BIR}}, ID: {{ID}}, offset: "
                + $"{text.Value($"{locator}High"):x8}{text.Get(locator, "OffsetLow"):x4}0000");
        }
    }

    private static string BlockName(uint id) => id switch
    {
        0 => "Empty",
        1 => "MCAP",
        0xff => "MDVS",
        _ => $"Reserved ({id})",
    };
}
