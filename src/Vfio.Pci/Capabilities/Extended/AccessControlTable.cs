using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Access Control Services: PCI Express Base 6.0, section 7.7.11.</summary>
/// <remarks>All fixed: it is what isolates functions from each other.</remarks>
internal static class AccessControlTable
{
    private static readonly Register Caps = new(0x04, 2, "ACSCap")
    {
        { "SrcValid", 0, Fixed },
        { "TransBlk", 1, Fixed },
        { "ReqRedir", 2, Fixed },
        { "CmpltRedir", 3, Fixed },
        { "UpstreamFwd", 4, Fixed },
        { "EgressCtrl", 5, Fixed },
        { "DirectTrans", 6, Fixed },
        { "Enhanced", 7, Fixed },
        { "EgressBits", 15, 8, Fixed, FieldText.Decimal },
    };

    private static readonly Register Control = new(0x06, 2, "ACSCtl")
    {
        { "SrcValid", 0, Fixed },
        { "TransBlk", 1, Fixed },
        { "ReqRedir", 2, Fixed },
        { "CmpltRedir", 3, Fixed },
        { "UpstreamFwd", 4, Fixed },
        { "EgressCtrl", 5, Fixed },
        { "DirectTrans", 6, Fixed },
        { "IOReqBlk", 7, Fixed },
        { "DSPMemAccess", 9, 8, Fixed },
        { "USPMemAccess", 11, 10, Fixed },
        { "UnclaimedRedir", 12, Fixed },
    };

    internal static readonly CapabilityTable Table = new(0x0d, true, "Access Control Services", Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        foreach (string register in (string[])["ACSCap", "ACSCtl"])
        {
            text.Line(register, $"{register}:\t{{SrcValid}} {{TransBlk}} {{ReqRedir}} {{CmpltRedir}} {{UpstreamFwd}} {{EgressCtrl}} "
                + "{DirectTrans}");
        }
    }

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint caps = view.Read(4, 2);
        int bits = !caps.Get(5) ? 0 : caps.Get(15, 8) is var count and not 0 ? (int)count : 256;
        int words = (bits + 31) / 32;
        IEnumerable<Register> vector = Enumerable.Range(0, words)
            .Select(index => new Register(8 + (4 * index), 4, $"EgressVector{index}") { { "Ports", 31, 0, Fixed } });
        return new(8 + (4 * words), [Caps, Control, .. vector]);
    }
}
