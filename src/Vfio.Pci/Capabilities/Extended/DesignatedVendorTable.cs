using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Designated Vendor-Specific Extended Capability: PCI Express Base 6.0, section 7.9.6. Its header has its length.</summary>
/// <remarks>Passed through as other vendor-specific ones are, but for those of CXL: they decide what memory the machine sees.</remarks>
internal static class DesignatedVendorTable
{
    private const uint CxlVendor = 0x1e98;

    internal static readonly CapabilityTable Table = new(0x23, true, "Designated Vendor-Specific", Layout) { Describe = Describe };

    private static readonly Register[] Header =
    [
        new Register(0x04, 4, "Header1")
        {
            { "Vendor", 15, 0, Fixed, id => $"{id:x4}" },
            { "Rev", 19, 16, Fixed, FieldText.Decimal },
            { "Len", 31, 20, Fixed, FieldText.Decimal },
        },
        new Register(0x08, 2, "Header2") { { "ID", 15, 0, Fixed, id => $"{id:x4}" } },
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint header = view.Read(4, 4);
        int length = Math.Max(0x0a, (int)header.Get(31, 20));
        if (header.Get(15, 0) == CxlVendor)
            return new(length, [.. Header, .. CxlRegisters.Of(view.Read(8, 2), length)]);
        Register[] first = length >= 0x0c ? [new(0x0a, 2, "Data0a") { { "Data", 15, 0, PassedThrough } }] : [];
        return new(length, [.. Header, .. first, .. RawRegisters.Between(0x0c, length, PassedThrough)]);
    }

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("Header2"))
            return;
        bool isCxl = text.Get("Header1", "Vendor") == CxlVendor && text.Get("Header1", "Len") >= 16;
        text.SetTitle("Header1",
            "Designated Vendor-Specific: Vendor={Vendor} ID={Header2:ID} Rev={Rev} Len={Len}" + (isCxl ? ": CXL" : " <?>"));
        if (isCxl)
            CxlText.Describe(text);
    }
}
