using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities;

/// <summary>The first 64 bytes of config space.</summary>
/// <remarks>PCI Express Base 6.0, sections 7.5.1.1 to 7.5.1.3; PCI Local Bus 3.0, chapter 6.</remarks>
internal static class HeaderTable
{
    private static readonly Register[] CommonStart =
    [
        // Virtual functions have no ids in hardware; the guard puts them in the usual place.
        new Register(0x00, 2, "VendorID") { { "Vendor", 15, 0, VirtualFixed } },
        new Register(0x02, 2, "DeviceID") { { "Device", 15, 0, VirtualFixed } },
        new Register(0x04, 2, "Control")
        {
            // The guard tracks decoding: no access may reach a BAR that is off, and BARs may have to be restored first.
            { "I/O", 0, Virtual },
            { "Mem", 1, Virtual },
            { "BusMaster", 2, PassedThrough },
            { "SpecCycle", 3, PassedThrough },
            { "MemWINV", 4, PassedThrough },
            { "VGASnoop", 5, PassedThrough },
            { "ParErr", 6, PassedThrough },
            { "Stepping", 7, PassedThrough },
            { "SERR", 8, PassedThrough },
            { "FastB2B", 9, PassedThrough },
            // The guard masks INTx with it; the user's bit is a second mask.
            { "DisINTx", 10, Virtual },
        },
        new Register(0x06, 2, "Status")
        {
            { "ImmReady", 0, Fixed },
            { "INTx", 3, Fixed },
            { "Cap", 4, VirtualFixed },
            { "66MHz", 5, Fixed },
            { "UDF", 6, Fixed },
            { "FastB2B", 7, Fixed },
            // The machine's error handling watches these; a user who clears them would blind it.
            { "ParErr", 8, FixedStatus },
            { "DEVSEL", 10, 9, Fixed, FieldText.DeviceSelect },
            { ">TAbort", 11, FixedStatus },
            { "<TAbort", 12, FixedStatus },
            { "<MAbort", 13, FixedStatus },
            { ">SERR", 14, FixedStatus },
            { "<PERR", 15, FixedStatus },
        },
        new Register(0x08, 1, "Revision") { { "Revision", 7, 0, Fixed } },
        new Register(0x09, 1, "ProgIf") { { "ProgIf", 7, 0, Fixed } },
        new Register(0x0a, 2, "Class") { { "Class", 15, 0, Fixed } },
        // These touch the function alone.
        new Register(0x0c, 1, "CacheLine") { { "CacheLine", 7, 0, PassedThrough } },
        new Register(0x0d, 1, "Latency") { { "Latency", 7, 0, PassedThrough } },
        new Register(0x0e, 1, "HeaderType") { { "Layout", 6, 0, Fixed }, { "MultiFunction", 7, Fixed } },
        new Register(0x0f, 1, "BIST") { { "Code", 3, 0, PassedThrough }, { "Start", 6, PassedThrough }, { "Capable", 7, Fixed } },
    ];

    /// <summary>A function's header.</summary>
    public static IReadOnlyList<Register> Type0 { get; } =
    [
        .. CommonStart,
        .. Enumerable.Range(0, 6).Select(Bar),
        new Register(0x28, 4, "CardbusCIS") { { "Pointer", 31, 0, Fixed } },
        new Register(0x2c, 2, "SubsystemVendorID") { { "Vendor", 15, 0, Fixed } },
        new Register(0x2e, 2, "SubsystemID") { { "Device", 15, 0, Fixed } },
        Rom(0x30),
        new Register(0x34, 1, "CapabilityPointer") { { "Pointer", 7, 0, VirtualFixed } },
        // Software keeps a number there; the hardware does nothing with it.
        new Register(0x3c, 1, "InterruptLine") { { "Line", 7, 0, Virtual } },
        // The guard may hide INTx.
        new Register(0x3d, 1, "InterruptPin") { { "Pin", 7, 0, VirtualFixed } },
        new Register(0x3e, 1, "MinGnt") { { "MinGnt", 7, 0, Fixed } },
        new Register(0x3f, 1, "MaxLat") { { "MaxLat", 7, 0, Fixed } },
    ];

    /// <summary>A bridge's header. Bridges are decoded, never assigned: all that forwards is fixed.</summary>
    public static IReadOnlyList<Register> Type1 { get; } =
    [
        .. CommonStart,
        .. Enumerable.Range(0, 2).Select(Bar),
        new Register(0x18, 1, "PrimaryBus") { { "Bus", 7, 0, Fixed } },
        new Register(0x19, 1, "SecondaryBus") { { "Bus", 7, 0, Fixed } },
        new Register(0x1a, 1, "SubordinateBus") { { "Bus", 7, 0, Fixed } },
        new Register(0x1b, 1, "SecondaryLatency") { { "Latency", 7, 0, Fixed } },
        new Register(0x1c, 1, "IoBase") { { "Width", 3, 0, Fixed }, { "Base", 7, 4, Fixed } },
        new Register(0x1d, 1, "IoLimit") { { "Width", 3, 0, Fixed }, { "Limit", 7, 4, Fixed } },
        new Register(0x1e, 2, "Secondary status")
        {
            { "66MHz", 5, Fixed },
            { "FastB2B", 7, Fixed },
            { "ParErr", 8, FixedStatus },
            { "DEVSEL", 10, 9, Fixed, FieldText.DeviceSelect },
            { ">TAbort", 11, FixedStatus },
            { "<TAbort", 12, FixedStatus },
            { "<MAbort", 13, FixedStatus },
            { "<SERR", 14, FixedStatus },
            { "<PERR", 15, FixedStatus },
        },
        new Register(0x20, 2, "MemoryBase") { { "Width", 3, 0, Fixed }, { "Base", 15, 4, Fixed } },
        new Register(0x22, 2, "MemoryLimit") { { "Width", 3, 0, Fixed }, { "Limit", 15, 4, Fixed } },
        new Register(0x24, 2, "PrefetchableBase") { { "Width", 3, 0, Fixed }, { "Base", 15, 4, Fixed } },
        new Register(0x26, 2, "PrefetchableLimit") { { "Width", 3, 0, Fixed }, { "Limit", 15, 4, Fixed } },
        new Register(0x28, 4, "PrefetchableBaseUpper") { { "Base", 31, 0, Fixed } },
        new Register(0x2c, 4, "PrefetchableLimitUpper") { { "Limit", 31, 0, Fixed } },
        new Register(0x30, 2, "IoBaseUpper") { { "Base", 15, 0, Fixed } },
        new Register(0x32, 2, "IoLimitUpper") { { "Limit", 15, 0, Fixed } },
        new Register(0x34, 1, "CapabilityPointer") { { "Pointer", 7, 0, VirtualFixed } },
        Rom(0x38),
        new Register(0x3c, 1, "InterruptLine") { { "Line", 7, 0, Virtual } },
        new Register(0x3d, 1, "InterruptPin") { { "Pin", 7, 0, VirtualFixed } },
        new Register(0x3e, 2, "BridgeCtl")
        {
            { "Parity", 0, Fixed },
            { "SERR", 1, Fixed },
            { "NoISA", 2, Fixed },
            { "VGA", 3, Fixed },
            { "VGA16", 4, Fixed },
            { "MAbort", 5, Fixed },
            { ">Reset", 6, Fixed },
            { "FastB2B", 7, Fixed },
            { "PriDiscTmr", 8, Fixed },
            { "SecDiscTmr", 9, Fixed },
            { "DiscTmrStat", 10, FixedStatus },
            { "DiscTmrSERREn", 11, Fixed },
        },
    ];

    /// <summary>The header of a config space. Layouts other than 0 and 1 have what all headers share.</summary>
    public static IReadOnlyList<Register> Of(ConfigSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        return space.HeaderType switch
        {
            0 => Type0,
            1 => Type1,
            _ => CommonStart,
        };
    }

    // The real address stays the owner's; what the user writes is for sizing and for its own book-keeping.
    private static Register Bar(int index) => new(0x10 + (4 * index), 4, $"BAR{index}") { { "Value", 31, 0, Virtual } };

    private static Register Rom(int offset) => new(offset, 4, "ROM")
    {
        { "Enabled", 0, Virtual },
        { "Reserved", 10, 1, Virtual },
        { "Address", 31, 11, Virtual },
    };
}
