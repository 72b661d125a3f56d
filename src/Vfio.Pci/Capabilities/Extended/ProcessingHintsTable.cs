using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>TPH Requester: PCI Express Base 6.0, section 7.9.13.</summary>
/// <remarks>All fixed: steering tags name the machine's caches.</remarks>
internal static class ProcessingHintsTable
{
    private static readonly Register[] Start =
    [
        new Register(0x04, 4, "TPHCap")
        {
            { "NoST", 0, Fixed },
            { "IntVec", 1, Fixed },
            { "DevSpecific", 2, Fixed },
            { "ExtReq", 8, Fixed },
            { "STLocation", 10, 9, Fixed, Location },
            { "STSize", 26, 16, Fixed, code => $"{code + 1}" },
        },
        new Register(0x08, 4, "TPHCtl") { { "STMode", 2, 0, Fixed }, { "ReqEnable", 9, 8, Fixed } },
    ];

    internal static readonly CapabilityTable Table = new(0x17, true, "Transaction Processing Hints", Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("TPHCap"))
            return;
        if (text.IsSet("TPHCap", "IntVec"))
            text.Add("Interrupt vector mode supported");
        if (text.IsSet("TPHCap", "DevSpecific"))
            text.Add("Device specific mode supported");
        if (text.IsSet("TPHCap", "ExtReq"))
            text.Add("Extended requester support");
        text.Line("TPHCap", "{STLocation}");
    }

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint caps = view.Read(4, 4);
        // 64 tags is the most that the structure may hold itself.
        int tags = caps.Get(10, 9) == 1 ? Math.Min((int)caps.Get(26, 16) + 1, 64) : 0;
        IEnumerable<Register> table = Enumerable.Range(0, tags).Select(index => new Register(0x0c + (2 * index), 2, $"ST{index}")
        {
            { "Lower", 7, 0, Fixed },
            { "Upper", 15, 8, Fixed },
        });
        return new(0x0c + (2 * tags), [.. Start, .. table]);
    }

    private static string Location(uint code) => code switch
    {
        0 => "No steering table available",
        1 => "Steering table in TPH capability structure",
        2 => "Steering table in MSI-X table",
        _ => "Reserved steering table location",
    };
}
