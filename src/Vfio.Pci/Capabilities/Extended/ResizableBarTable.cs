using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Resizable BAR and VF Resizable BAR: PCI Express Base 6.0, sections 7.8.6 and 7.8.7.</summary>
/// <remarks>All fixed: a larger BAR would cover addresses that belong to others.</remarks>
internal static class ResizableBarTable
{
    internal static readonly CapabilityTable[] Tables =
    [
        new(0x15, true, "Physical Resizable BAR", Layout) { Describe = Describe },
        new(0x24, true, "Virtual Resizable BAR", Layout) { Describe = Describe },
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int count = Math.Clamp((int)view.Read(8, 4).Get(7, 5), 1, 6);
        return new(4 + (8 * count), [.. Enumerable.Range(0, count).SelectMany(Entry)]);
    }

    private static Register[] Entry(int index) =>
    [
        new Register(4 + (8 * index), 4, $"RebarCap{index}") { { "Sizes", 31, 4, Fixed } },
        new Register(8 + (8 * index), 4, $"RebarCtl{index}")
        {
            { "BAR", 2, 0, Fixed, FieldText.Decimal },
            { "Count", 7, 5, Fixed, FieldText.Decimal },
            { "current size", 13, 8, Fixed, Size },
            { "MoreSizes", 31, 16, Fixed },
        },
    ];

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("RebarCtl0"))
            return;
        uint count = text.Get("RebarCtl0", "Count");
        if (count is < 1 or > 6)
        {
            text.Add($"<error in resizable BAR: num_bars={count} is out of specification>");
            return;
        }

        for (int index = 0; index < count; index++)
        {
            string control = $"RebarCtl{index}";
            if (!text.Has(control))
            {
                text.Add("<unreadable>");
                return;
            }

            ulong sizes = (ulong)text.Get(control, "MoreSizes") << 28 | text.Get($"RebarCap{index}", "Sizes");
            IEnumerable<int> codes = Enumerable.Range(0, 44).Where(code => (sizes >> code & 1) != 0);
            string supported = string.Concat(codes.Select(code => $" {Size((uint)code)}"));
            text.Line(control, "BAR {BAR}: current size: {current size}" + (sizes != 0 ? $", supported:{supported}" : ""));
        }
    }

    /// <summary>A size code, where 0 is a mebibyte and each step doubles.</summary>
    internal static string Size(uint code) => code switch
    {
        < 10 => $"{1 << (int)code}MB",
        < 20 => $"{1 << (int)(code - 10)}GB",
        < 30 => $"{1 << (int)(code - 20)}TB",
        < 40 => $"{1 << (int)(code - 30)}PB",
        < 44 => $"{1 << (int)(code - 40)}EB",
        _ => "<unknown>",
    };
}
