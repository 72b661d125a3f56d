using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Enhanced Allocation: PCI Express Base 6.0, section 7.8.5. As many entries as its first register counts, each as long as it
/// says.</summary>
internal static class EnhancedAllocationTable
{
    internal static readonly CapabilityTable Table = new(0x14, false, "Enhanced Allocation (EA)", Layout) { Describe = Describe };

    private static readonly Register Count = new(0x02, 1, "Entries") { { "NumEntries", 5, 0, Fixed, FieldText.Decimal } };

    private static CapabilityLayout Layout(CapabilityView view)
    {
        List<Register> registers = [Count];
        int offset = 4;
        if (view.Space.HeaderType == 1)
        {
            registers.Add(new(0x04, 1, "Secondary") { { "Bus", 7, 0, Fixed, FieldText.Decimal } });
            registers.Add(new(0x05, 1, "Subordinate") { { "Bus", 7, 0, Fixed, FieldText.Decimal } });
            offset = 8;
        }

        int count = (int)view.Read(2, 1).Get(5, 0);
        for (int index = 0; index < count && view.Offset + offset < ConfigSpace.ConventionalLength; index++)
        {
            int dwords = (int)view.Read(offset, 4).Get(2, 0);
            registers.AddRange(Entry(index, offset, dwords, view));
            offset += 4 + (4 * dwords);
        }

        return new(offset, registers);
    }

    private static IEnumerable<Register> Entry(int index, int offset, int dwords, CapabilityView view)
    {
        yield return new(offset, 4, $"Entry{index}")
        {
            { "EntrySize", 2, 0, Fixed, FieldText.Decimal },
            { "BEI", 7, 4, Fixed, Indicator },
            { "PrimaryProperties", 15, 8, Fixed, code => Properties(code, isSecondary: false) },
            { "SecondaryProperties", 23, 16, Fixed, code => Properties(code, isSecondary: true) },
            { "Writable", 30, Fixed },
            { "Enable", 31, Fixed },
        };
        bool baseIs64 = view.Read(offset + 4, 4).Get(1);
        bool limitIs64 = view.Read(offset + 8, 4).Get(1);
        string[] names =
        [
            $"Base{index}",
            $"MaxOffset{index}",
            .. baseIs64 ? [$"BaseHigh{index}"] : Array.Empty<string>(),
            .. limitIs64 ? [$"MaxOffsetHigh{index}"] : Array.Empty<string>(),
        ];
        for (int dword = 0; dword < Math.Min(dwords, names.Length); dword++)
            yield return new(offset + 4 + (4 * dword), 4, names[dword]) { { "Value", 31, 0, Fixed } };
    }

    private static void Describe(CapabilityText text)
    {
        text.SetTitle("Entries", "Enhanced Allocation (EA): NumEntries={NumEntries}");
        if (text.Has("Subordinate"))
            text.Title += text.Fill("Subordinate", ", secondary={Secondary:Bus}, subordinate={Bus}");
        for (int index = 0; text.Has($"MaxOffset{index}"); index++)
        {
            string entry = $"Entry{index}";
            text.Line(entry, $"Entry {index}: {{Enable}} {{Writable}} EntrySize={{EntrySize}}");
            text.More(entry, " BAR Equivalent Indicator: {BEI}");
            text.More(entry, " PrimaryProperties: {PrimaryProperties}");
            text.More(entry, " SecondaryProperties: {SecondaryProperties}");
            text.Add($"\t Base: {High(text, $"BaseHigh{index}")}{text.Value($"Base{index}") & ~3u:x8}");
            text.Add($"\t MaxOffset: {High(text, $"MaxOffsetHigh{index}")}{text.Value($"MaxOffset{index}") | 3:x8}");
        }
    }

    private static string High(CapabilityText text, string register) => text.Has(register) ? $"{text.Value(register):x}" : "";

    private static string Indicator(uint code) => code switch
    {
        <= 5 => $"BAR {code}",
        6 => "resource behind function",
        7 => "not indicated",
        8 => "expansion ROM",
        <= 14 => $"VF-BAR {code - 9}",
        _ => "reserved",
    };

    private static string Properties(uint code, bool isSecondary) => code switch
    {
        0x00 => "memory space, non-prefetchable",
        0x01 => "memory space, prefetchable",
        0x02 => "I/O space",
        0x03 => "VF memory space, prefetchable",
        0x04 => "VF memory space, non-prefetchable",
        0x05 => "allocation behind bridge, non-prefetchable memory",
        0x06 => "allocation behind bridge, prefetchable memory",
        0x07 => "allocation behind bridge, I/O space",
        0xfd => "memory space resource unavailable for use",
        0xfe => "I/O space resource unavailable for use",
        0xff when isSecondary => "entry unavailable for use, PrimaryProperties should be used",
        0xff => "entry unavailable for use",
        _ => $"[{code:x2}]",
    };
}
