using Vfio.Pci.Decoding;
using static Vfio.Pci.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Precision Time Measurement: PCI Express Base 6.0, section 7.9.15.</summary>
/// <remarks>All fixed: the chain up to the root's clock is the machine's to set up.</remarks>
internal static class TimeMeasurementTable
{
    private static readonly CapabilityLayout Layout = new(0x0c,
    [
        new Register(0x04, 4, "PTMCap")
        {
            { "Requester", 0, Fixed },
            { "Responder", 1, Fixed },
            { "Root", 2, Fixed },
            { "ePTM", 3, Fixed },
            { "Granularity", 15, 8, Fixed, code => Granularity(code, "Unimplemented") },
        },
        new Register(0x08, 4, "PTMControl")
        {
            { "Enabled", 0, Fixed },
            { "RootSelected", 1, Fixed },
            { "Granularity", 15, 8, Fixed, code => Granularity(code, "Unknown") },
        },
    ]);

    internal static readonly CapabilityTable Table = new(0x1f, true, "Precision Time Measurement", _ => Layout) { Describe = Describe, IsHidden = true };

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("PTMControl"))
        {
            text.Add("<unreadable>");
            return;
        }

        text.Line("PTMCap", "PTMCap: Requester:{Requester!} Responder:{Responder!} Root:{Root!}");
        text.Line("PTMCap", "PTMClockGranularity: {Granularity}");
        text.Line("PTMControl", "PTMControl: Enabled:{Enabled!} RootSelected:{RootSelected!}");
        text.Line("PTMControl", "PTMEffectiveGranularity: {Granularity}");
    }

    private static string Granularity(uint code, string none) => code switch
    {
        0 => none,
        0xff => "Greater than 254ns",
        _ => $"{code}ns",
    };
}
