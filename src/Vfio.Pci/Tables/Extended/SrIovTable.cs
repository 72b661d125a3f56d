using static Vfio.Pci.BitRule;

namespace Vfio.Pci;

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
        new Register(0x0c, 2, "Initial VFs") { { "Count", 15, 0, Fixed, Words.Decimal } },
        new Register(0x0e, 2, "Total VFs") { { "Count", 15, 0, Fixed, Words.Decimal } },
        new Register(0x10, 2, "Number of VFs") { { "Count", 15, 0, Fixed, Words.Decimal } },
        new Register(0x12, 1, "Function Dependency Link") { { "Link", 7, 0, Fixed, link => $"{link:x2}" } },
        new Register(0x14, 2, "VF offset") { { "Offset", 15, 0, Fixed, Words.Decimal } },
        new Register(0x16, 2, "stride") { { "Stride", 15, 0, Fixed, Words.Decimal } },
        new Register(0x1a, 2, "Device ID") { { "Device", 15, 0, Fixed, id => $"{id:x4}" } },
        new Register(0x1c, 4, "Supported Page Size") { { "Sizes", 31, 0, Fixed, sizes => $"{sizes:x8}" } },
        new Register(0x20, 4, "System Page Size") { { "Size", 31, 0, Fixed, size => $"{size:x8}" } },
        .. Enumerable.Range(0, 6).Select(index => new Register(0x24 + (4 * index), 4, $"VFBAR{index}") { { "Value", 31, 0, Fixed } }),
        new Register(0x3c, 4, "VF Migration") { { "BIR", 2, 0, Fixed }, { "offset", 31, 3, Fixed, offset => $"{offset << 3:x8}" } },
    ]);

    internal static readonly CapabilityTable Table = new(0x10, true, "Single Root I/O Virtualization (SR-IOV)", _ => Layout);
}
