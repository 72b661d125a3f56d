using Vfio.Pci.Decoding;
using static Vfio.Pci.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Data Object Exchange: PCI Express Base 6.0, section 7.9.24.</summary>
/// <remarks>All fixed: the mailbox has one user, the machine that asks the card who it is.</remarks>
internal static class DataObjectExchangeTable
{
    private static readonly CapabilityLayout Layout = new(0x18,
    [
        new Register(0x04, 4, "DOECap")
        {
            { "IntSup", 0, Fixed },
            { "IntMsg", 11, 1, Fixed, number => $"{number:x3}" },
            { "AttnSup", 12, Fixed },
            { "AsyncSup", 13, Fixed },
        },
        new Register(0x08, 4, "DOECtl")
        {
            { "Abort", 0, FixedStatus },
            { "IntEn", 1, Fixed },
            { "AttnNotNeeded", 2, Fixed },
            { "AsyncEn", 3, Fixed },
            { "Go", 31, FixedStatus },
        },
        new Register(0x0c, 4, "DOESta")
        {
            { "Busy", 0, Fixed },
            { "IntSta", 1, FixedStatus },
            { "Error", 2, Fixed },
            { "AsyncSta", 3, Fixed },
            { "AtAttn", 4, Fixed },
            { "ObjectReady", 31, Fixed },
        },
        new Register(0x10, 4, "DOEWrite") { { "Data", 31, 0, Fixed } },
        new Register(0x14, 4, "DOERead") { { "Data", 31, 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x2e, true, "Data Object Exchange", _ => Layout) { Describe = Describe, IsHidden = true };

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("DOERead"))
        {
            text.Add("<unreadable>");
            return;
        }

        text.Line("DOECap", "DOECap: {IntSup}");
        if (text.IsSet("DOECap", "IntSup"))
            text.More("DOECap", "Interrupt Message Number {IntMsg}");
        text.Line("DOECtl", "DOECtl: {IntEn}");
        text.Line("DOESta", "DOESta: {Busy} {IntSta} {Error} {ObjectReady}");
    }
}
