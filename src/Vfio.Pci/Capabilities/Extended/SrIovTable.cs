using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Single Root I/O Virtualization: PCI Express Base 6.0, section 9.3.3.</summary>
/// <remarks>All fixed: virtual functions are functions of the machine, and making them is the owner's.</remarks>
internal static class SrIovTable
{
    private static readonly CapabilityLayout Layout = new(0x40,
    [
        new Register(0x04, 4, "IOVCap")
        {
            { "Migration", 0, Fixed },
            { "ARIPreserved", 1, Fixed },
            { "10BitTagReq", 2, Fixed },
            { "Interrupt Message Number", 31, 21, Fixed, number => $"{number:x3}" },
        },
        new Register(0x08, 2, "IOVCtl")
        {
            { "Enable", 0, Fixed },
            { "Migration", 1, Fixed },
            { "Interrupt", 2, Fixed },
            { "MSE", 3, Fixed },
            { "ARIHierarchy", 4, Fixed },
            { "10BitTagReq", 5, Fixed },
        },
        new Register(0x0a, 2, "IOVSta") { { "Migration", 0, FixedStatus } },
        new Register(0x0c, 2, "Initial VFs") { { "Count", 15, 0, Fixed, FieldText.Decimal } },
        new Register(0x0e, 2, "Total VFs") { { "Count", 15, 0, Fixed, FieldText.Decimal } },
        new Register(0x10, 2, "Number of VFs") { { "Count", 15, 0, Fixed, FieldText.Decimal } },
        new Register(0x12, 1, "Function Dependency Link") { { "Link", 7, 0, Fixed, link => $"{link:x2}" } },
        new Register(0x14, 2, "VF offset") { { "Offset", 15, 0, Fixed, FieldText.Decimal } },
        new Register(0x16, 2, "stride") { { "Stride", 15, 0, Fixed, FieldText.Decimal } },
        new Register(0x1a, 2, "Device ID") { { "Device", 15, 0, Fixed, id => $"{id:x4}" } },
        new Register(0x1c, 4, "Supported Page Size") { { "Sizes", 31, 0, Fixed, sizes => $"{sizes:x8}" } },
        new Register(0x20, 4, "System Page Size") { { "Size", 31, 0, Fixed, size => $"{size:x8}" } },
        .. Enumerable.Range(0, 6).Select(index => new Register(0x24 + (4 * index), 4, $"VFBAR{index}") { { "Value", 31, 0, Fixed } }),
        new Register(0x3c, 4, "VF Migration")
        {
            { "BIR", 2, 0, Fixed, FieldText.Decimal },
            { "offset", 31, 3, Fixed, offset => $"{offset << 3:x8}" },
        },
    ]);

    internal static readonly CapabilityTable Table =
        new(0x10, true, "Single Root I/O Virtualization (SR-IOV)", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        text.Line("IOVCap", "IOVCap:\t{Migration} {10BitTagReq} Interrupt Message Number: {Interrupt Message Number}");
        text.Line("IOVCtl", "IOVCtl:\t{Enable} {Migration} {Interrupt} {MSE} {ARIHierarchy} {10BitTagReq}");
        text.Line("IOVSta", "IOVSta:\t{Migration}");
        text.Line("Function Dependency Link", "Initial VFs: {Initial VFs:Count}, Total VFs: {Total VFs:Count}, "
            + "Number of VFs: {Number of VFs:Count}, Function Dependency Link: {Link}");
        text.Line("Device ID", "VF offset: {VF offset:Offset}, stride: {stride:Stride}, Device ID: {Device}");
        text.Line("System Page Size", "Supported Page Size: {Supported Page Size:Sizes}, System Page Size: {Size}");
        for (int index = 0; index < 6; index++)
        {
            uint bar = text.Has($"VFBAR{index}") ? text.Value($"VFBAR{index}") : 0;
            if (bar is 0 or uint.MaxValue)
                continue;
            int region = index;
            uint width = bar.Get(2, 1);
            // The next register is the upper half of this address.
            string high = width == 2 && text.Has($"VFBAR{++index}") ? $"{text.Value($"VFBAR{index}"):x8}" : "";
            text.Add($"Region {region}: Memory at {high}{bar & ~0xfu:x8} ({(width == 0 ? "32" : "64")}-bit, "
                + $"{(bar.Get(3) ? "" : "non-")}prefetchable)");
        }

        text.Line("VF Migration", "VF Migration: offset: {offset}, BIR: {BIR}");
    }
}
