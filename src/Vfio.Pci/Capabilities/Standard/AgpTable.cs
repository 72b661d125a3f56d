using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Accelerated Graphics Port: AGP 3.0, section 6.</summary>
internal static class AgpTable
{
    private static readonly CapabilityLayout Layout = new(12,
    [
        new Register(0x02, 1, "Version")
        {
            { "Minor", 3, 0, Fixed, digit => $"{digit:x}" },
            { "Major", 7, 4, Fixed, digit => $"{digit:x}" },
        },
        new Register(0x04, 4, "Status")
        {
            { "Rate", 2, 0, Fixed },
            { "AGP3", 3, Fixed },
            { "FW", 4, Fixed },
            { "64bit", 5, Fixed },
            { "HTrans", 6, Fixed },
            { "GART64", 7, Fixed },
            { "ITACoh", 8, Fixed },
            { "SBA", 9, Fixed },
            { "Cal", 12, 10, Fixed, FieldText.Decimal },
            { "ArqSz", 15, 13, Fixed, FieldText.Decimal },
            { "Iso", 16, Fixed },
            { "RQ", 31, 24, Fixed, code => $"{code + 1}" },
        },
        new Register(0x08, 4, "Command")
        {
            { "Rate", 2, 0, Fixed },
            { "FW", 4, Fixed },
            { "64bit", 5, Fixed },
            { "GART64", 7, Fixed },
            { "AGP", 8, Fixed },
            { "SBA", 9, Fixed },
            { "Cal", 12, 10, Fixed, FieldText.Decimal },
            { "ArqSz", 15, 13, Fixed, FieldText.Decimal },
            { "RQ", 31, 24, Fixed, code => $"{code + 1}" },
        },
    ]);

    internal static readonly CapabilityTable Table = new(0x02, false, "AGP", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        text.SetTitle("Version", "AGP version {Major}.{Minor}");
        if (!text.Has("Command"))
            return;
        bool isThird = text.Get("Version", "Major") >= 3 && text.IsSet("Status", "AGP3");
        text.Line("Status", "Status: RQ={RQ} {Iso} ArqSz={ArqSz} Cal={Cal} {SBA} {ITACoh} {GART64} {HTrans} {64bit} {FW} {AGP3} "
            + $"Rate={Rates(text.Get("Status", "Rate"), isThird)}");
        text.Line("Command", "Command: RQ={RQ} ArqSz={ArqSz} Cal={Cal} {SBA} {AGP} {GART64} {64bit} {FW} "
            + $"Rate={Rates(text.Get("Command", "Rate"), isThird)}");
    }

    // The same three bits mean faster rates in AGP 3.
    private static string Rates(uint bits, bool isThird) => bits == 0
        ? "<none>"
        : string.Join(',', Enumerable.Range(0, 3).Where(bit => bits.Get(bit)).Select(bit => $"x{1 << (bit + (isThird ? 2 : 0))}"));
}
