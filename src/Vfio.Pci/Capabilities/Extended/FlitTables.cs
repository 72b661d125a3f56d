using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>What links in flit mode have: PCI Express Base 6.0, sections 7.7.8, 7.8.12, 7.8.13 and 7.8.14.</summary>
/// <remarks>All fixed: the link carries every function behind it.</remarks>
internal static class FlitTables
{
    private static readonly string[] OrderedSets =
        ["TS0", "TS1", "TS2", "SKP", "EIEOS", "EIOS", "SDS", "Polling", "Configuration", "L0", "Recovery", "Eq01", "Eq2", "Eq3"];

    private static readonly CapabilityLayout LoggingLayout = new(0x3c,
    [
        new Register(0x04, 4, "Log1")
        {
            { "Valid", 0, FixedStatus },
            { "Link Width", 3, 1, Fixed, Width },
            { "Flit Offset", 7, 4, Fixed, FieldText.Decimal },
            { "Consecutive Errors", 12, 8, Fixed, FieldText.Decimal },
            { "More entries", 13, Fixed },
            { "Unrecognized flit", 14, Fixed },
            { "FEC uncorrectable", 15, Fixed },
            { "SyndParityGrp0", 23, 16, Fixed, syndrome => $"{syndrome:x2}" },
            { "SyndCheckGrp0", 31, 24, Fixed, syndrome => $"{syndrome:x2}" },
        },
        new Register(0x08, 4, "Log2")
        {
            { "SyndParityGrp1", 7, 0, Fixed, syndrome => $"{syndrome:x2}" },
            { "SyndCheckGrp1", 15, 8, Fixed, syndrome => $"{syndrome:x2}" },
            { "SyndParityGrp2", 23, 16, Fixed, syndrome => $"{syndrome:x2}" },
            { "SyndCheckGrp2", 31, 24, Fixed, syndrome => $"{syndrome:x2}" },
        },
        new Register(0x0c, 2, "CntCtl")
        {
            { "Flit Error Counter En", 0, Fixed },
            { "Flit Error Counter Interrupt En", 1, Fixed },
            { "Events to count", 3, 2, Fixed, FieldText.Decimal },
            { "Trigger", 11, 4, Fixed, count => $"{count:x2}" },
        },
        new Register(0x0e, 2, "CntSts")
        {
            { "Link Width", 2, 0, Fixed, Width },
            { "Interrupt Generated", 3, FixedStatus },
            { "FlitErr", 15, 8, Fixed, FieldText.Decimal },
        },
        new Register(0x10, 4, "MeasCtl") { { "En", 0, Fixed }, { "Clear", 1, FixedStatus }, { "Granularity", 3, 2, Fixed, Granularity } },
        new Register(0x14, 4, "MeasSts1") { { "Flit Counter", 31, 0, Fixed, FieldText.Decimal } },
        new Register(0x18, 4, "MeasSts2") { { "Invalid Flit Counter", 15, 0, Fixed, FieldText.Decimal } },
        .. Enumerable.Range(0, 8).Select(pair => new Register(0x1c + (4 * pair), 4, $"MeasSts{3 + pair}")
        {
            { $"Lane{2 * pair}", 15, 0, Fixed, FieldText.Decimal },
            { $"Lane{(2 * pair) + 1}", 31, 16, Fixed, FieldText.Decimal },
        }),
    ]);

    private static readonly CapabilityLayout PerformanceLayout = new(0x24,
    [
        new Register(0x04, 4, "FlitPmCap") { { "Value", 31, 0, Fixed } },
        new Register(0x08, 4, "FlitPmCtl") { { "Value", 31, 0, Fixed } },
        new Register(0x0c, 4, "FlitPmSta") { { "Value", 31, 0, FixedStatus } },
        .. Enumerable.Range(1, 5).Select(index => new Register(0x0c + (4 * index), 4, $"LtssmSta{index}") { { "Value", 31, 0, Fixed } }),
    ]);

    private static readonly CapabilityLayout ErrorInjectionLayout = new(0x24,
    [
        new Register(0x04, 4, "FlitEiCap") { { "Value", 31, 0, Fixed } },
        new Register(0x08, 4, "FlitEiCtl1")
        {
            { "En", 0, FixedStatus },
            { "Tx", 1, Fixed },
            { "Rx", 2, Fixed },
            { "2.5GT/s", 6, Fixed },
            { "5.0GT/s", 7, Fixed },
            { "8.0GT/s", 8, Fixed },
            { "16.0GT/s", 9, Fixed },
            { "32.0GT/s", 10, Fixed },
            { "64.0GT/s", 11, Fixed },
            { "Errors", 20, 16, Fixed, FieldText.Decimal },
            { "Spacing", 28, 21, Fixed, FieldText.Decimal },
            { "FlitType", 30, 29, Fixed, FlitType },
        },
        new Register(0x0c, 4, "FlitEiCtl2")
        {
            { "Consecutive", 2, 0, Fixed, Consecutive },
            { "Type", 4, 3, Fixed, ErrorType },
            { "Offset", 11, 5, Fixed, FieldText.Decimal },
            { "Magnitude", 19, 12, Fixed, FieldText.Decimal },
        },
        new Register(0x10, 4, "FlitEiSts") { { "Tx", 1, 0, Fixed, Progress }, { "Rx", 3, 2, Fixed, Progress } },
        OrderedSetControl(),
        new Register(0x18, 4, "FlitEiOsCtl2") { { "Bytes", 15, 0, Fixed }, { "Lanes", 31, 16, Fixed } },
        OrderedSetStatus(0x1c, "FlitEiOsTx"),
        OrderedSetStatus(0x20, "FlitEiOsRx"),
    ]);

    private static readonly CapabilityLayout NopFlitLayout = new(0x14,
    [
        new Register(0x04, 4, "NopCap") { { "Value", 31, 0, Fixed } },
        new Register(0x08, 4, "NopCtl1") { { "Value", 31, 0, Fixed } },
        new Register(0x0c, 4, "NopCtl2") { { "Value", 31, 0, Fixed } },
        new Register(0x10, 4, "NopSta") { { "Value", 31, 0, FixedStatus } },
    ]);

    internal static readonly CapabilityTable Logging = new(0x32, true, "Flit Logging", _ => LoggingLayout);

    internal static readonly CapabilityTable Performance = new(0x33, true, "Flit Performance Measurement", _ => PerformanceLayout);

    internal static readonly CapabilityTable ErrorInjection = new(0x34, true, "Flit Error Injection", _ => ErrorInjectionLayout);

    internal static readonly CapabilityTable NopFlit = new(0x37, true, "NOP Flit", _ => NopFlitLayout);

    /// <summary>A link's width in the three bits that flit mode gives it.</summary>
    internal static string Width(uint code) => code switch
    {
        <= 4 => $"x{1 << (int)code}",
        7 => "Dynamic",
        _ => $"Unknown ({code})",
    };

    private static Register OrderedSetControl()
    {
        Register register = new(0x14, 4, "FlitEiOsCtl1")
        {
            { "En", 0, FixedStatus },
            { "Tx", 1, Fixed },
            { "Rx", 2, Fixed },
            { "Errors", 7, 3, Fixed, FieldText.Decimal },
            { "Spacing", 15, 8, Fixed, FieldText.Decimal },
        };
        for (int set = 0; set < OrderedSets.Length; set++)
            register.Add(OrderedSets[set], 16 + set, Fixed);
        return register;
    }

    private static Register OrderedSetStatus(int offset, string name)
    {
        Register register = new(offset, 4, name);
        for (int set = 0; set < OrderedSets.Length; set++)
            register.Add(OrderedSets[set], (2 * set) + 1, 2 * set, Fixed, Progress);
        return register;
    }

    private static string Granularity(uint code) => code switch
    {
        0 => "all",
        1 => "even",
        2 => "odd",
        _ => "mismatch",
    };

    private static string FlitType(uint code) => code switch
    {
        0 => "any",
        1 => "any non-IDLE",
        2 => "only payload",
        _ => "only NOP",
    };

    private static string Consecutive(uint code) => code switch
    {
        0 => "none",
        7 => "pseudo-random",
        _ => $"{code}",
    };

    private static string ErrorType(uint code) => code switch
    {
        0 => "random",
        1 => "correctable single group",
        2 => "correctable three groups",
        _ => "uncorrectable",
    };

    private static string Progress(uint code) => code switch
    {
        0 => "not started",
        1 => "started",
        2 => "completed",
        _ => "error",
    };
}
