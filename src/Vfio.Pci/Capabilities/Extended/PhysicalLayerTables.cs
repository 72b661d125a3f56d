using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>What links of 8 to 64 GT/s have: PCI Express Base 6.0, sections 7.7.3 to 7.7.6. Registers per lane go with the link's width.
/// </summary>
/// <remarks>All fixed: the link carries every function behind it.</remarks>
internal static class PhysicalLayerTables
{
    internal static readonly CapabilityTable Secondary = new(0x19, true, "Secondary PCI Express", SecondaryLayout)
    {
        Describe = DescribeSecondary,
    };

    internal static readonly CapabilityTable Speed16 = new(0x26, true, "Physical Layer 16.0 GT/s", Layout16)
    {
        Describe = text => text.Line("Phy16Sta", "Phy16Sta: {EquComplete} {EquPhase1} {EquPhase2} {EquPhase3} {LinkEquRequest}"),
    };

    internal static readonly CapabilityTable Speed32 = new(0x2a, true, "Physical Layer 32.0 GT/s", Layout32) { Describe = Describe32 };

    internal static readonly CapabilityTable Speed64 = new(0x31, true, "Physical Layer 64.0 GT/s", Layout64) { Describe = Describe64 };

    private static CapabilityLayout SecondaryLayout(CapabilityView view)
    {
        int lanes = Lanes(view.Space);
        return new(0x0c + (2 * lanes),
        [
            new Register(0x04, 4, "LnkCtl3")
            {
                // Equalization interrupts the link.
                { "PerformEqu", 0, FixedStatus },
                { "LnkEquIntrruptEn", 1, Fixed },
                { "LowerSKPOS", 15, 9, Fixed },
            },
            new Register(0x08, 4, "LaneErrStat") { { "Lanes", 31, 0, FixedStatus } },
            .. Enumerable.Range(0, lanes).Select(lane => new Register(0x0c + (2 * lane), 2, $"LaneEqu{lane}")
            {
                { "DownTxPreset", 3, 0, Fixed },
                { "DownRxHint", 6, 4, Fixed },
                { "UpTxPreset", 11, 8, Fixed },
                { "UpRxHint", 14, 12, Fixed },
            }),
        ]);
    }

    private static CapabilityLayout Layout16(CapabilityView view)
    {
        int lanes = Lanes(view.Space);
        return new(0x20 + lanes,
        [
            new Register(0x04, 4, "Phy16Cap") { { "Value", 31, 0, Fixed } },
            new Register(0x08, 4, "Phy16Ctl") { { "Value", 31, 0, Fixed } },
            new Register(0x0c, 4, "Phy16Sta") { Equalization(), { "LinkEquRequest", 4, FixedStatus } },
            new Register(0x10, 4, "LocalParity") { { "Lanes", 31, 0, FixedStatus } },
            new Register(0x14, 4, "Retimer1Parity") { { "Lanes", 31, 0, FixedStatus } },
            new Register(0x18, 4, "Retimer2Parity") { { "Lanes", 31, 0, FixedStatus } },
            .. LanePresets(0x20, lanes),
        ]);
    }

    private static CapabilityLayout Layout32(CapabilityView view)
    {
        int lanes = Lanes(view.Space);
        return new(0x20 + lanes,
        [
            new Register(0x04, 4, "Phy32Cap")
            {
                { "EqualizationBypass", 0, Fixed },
                { "NoEqualizationNeeded", 1, Fixed },
                { "ModTsMode0", 8, Fixed },
                { "ModTsMode1", 9, Fixed },
                { "ModTsMode2", 10, Fixed },
            },
            new Register(0x08, 4, "Phy32Ctl")
            {
                { "EqualizationBypassDis", 0, Fixed },
                { "NoEqualizationNeededDis", 1, Fixed },
                { "ModTsMode", 10, 8, Fixed, TrainingSetMode },
            },
            new Register(0x0c, 4, "Phy32Sta")
            {
                Equalization(),
                { "LinkEquRequest", 4, FixedStatus },
                { "ModTsRecv", 5, Fixed },
                { "EnhancedLink", 7, 6, Fixed, EnhancedLink },
                { "TxPrecodeOn", 8, Fixed },
                { "TxPrecodeReq", 9, Fixed },
                { "NoEqualizationNeededRecv", 10, Fixed },
            },
            new Register(0x10, 4, "RxModTs1") { { "Data", 31, 0, Fixed } },
            new Register(0x14, 4, "RxModTs2") { { "Data", 31, 0, Fixed } },
            new Register(0x18, 4, "TxModTs1") { { "Data", 31, 0, Fixed } },
            new Register(0x1c, 4, "TxModTs2") { { "Data", 31, 0, Fixed } },
            .. LanePresets(0x20, lanes),
        ]);
    }

    private static CapabilityLayout Layout64(CapabilityView view)
    {
        int lanes = Lanes(view.Space);
        return new(0x10 + lanes,
        [
            new Register(0x04, 4, "Phy64Cap") { { "Value", 31, 0, Fixed } },
            new Register(0x08, 4, "Phy64Ctl") { { "Value", 31, 0, Fixed } },
            new Register(0x0c, 4, "Phy64Sta")
            {
                Equalization(),
                { "LinkEquRequest", 4, FixedStatus },
                { "TxPrecodeOn", 5, Fixed },
                { "TxPrecodeReq", 6, Fixed },
                { "NoEqualizationNeededRecv", 7, Fixed },
            },
            .. LanePresets(0x10, lanes),
        ]);
    }

    /// <summary>Lanes of the function's link, 1 to 32; 1 when no link register has it.</summary>
    internal static int Lanes(ConfigSpace space) =>
        CapabilityWalk.FindStandard(space, ExpressTable.Id) is { } express && space.Knows(express + 0x0c, 4)
            ? Math.Clamp((int)space.Read32(express + 0x0c).Get(9, 4), 1, 32)
            : 1;

    private static Field[] Equalization() =>
    [
        new("EquComplete", 0, 0, Fixed),
        new("EquPhase1", 1, 1, Fixed),
        new("EquPhase2", 2, 2, Fixed),
        new("EquPhase3", 3, 3, Fixed),
    ];

    private static IEnumerable<Register> LanePresets(int offset, int lanes) => Enumerable.Range(0, lanes)
        .Select(lane => new Register(offset + lane, 1, $"Lane{lane}") { { "DownTxPreset", 3, 0, Fixed }, { "UpTxPreset", 7, 4, Fixed } });

    private static void DescribeSecondary(CapabilityText text)
    {
        text.Line("LnkCtl3", "LnkCtl3: {LnkEquIntrruptEn} {PerformEqu}");
        if (!text.Has("LaneErrStat"))
            return;
        uint errors = text.Value("LaneErrStat").Get(15, 0);
        text.Add("LaneErrStat: " + (errors == 0
            ? "0"
            : "LaneErr at lane:" + string.Concat(Enumerable.Range(0, 16).Where(lane => errors.Get(lane)).Select(lane => $" {lane}"))));
    }

    private static void Describe32(CapabilityText text)
    {
        text.Line("Phy32Cap", "Phy32Cap: {EqualizationBypass} {NoEqualizationNeeded}");
        text.More("Phy32Cap", "  {ModTsMode0} {ModTsMode1} {ModTsMode2}");
        text.Line("Phy32Ctl", "Phy32Ctl: {EqualizationBypassDis} {NoEqualizationNeededDis}");
        text.More("Phy32Ctl", "  Modified TS Usage Mode: {ModTsMode}");
        text.Line("Phy32Sta", "Phy32Sta: {EquComplete} {EquPhase1} {EquPhase2} {EquPhase3} {LinkEquRequest}");
        text.More("Phy32Sta", "  Received Enhanced Link Behavior Control: {EnhancedLink}");
        text.More("Phy32Sta", "  {ModTsRecv} {TxPrecodeOn} {TxPrecodeReq} {NoEqualizationNeededRecv}");
    }

    private static void Describe64(CapabilityText text)
    {
        text.Line("Phy64Sta", "Phy64Sta: {EquComplete} {EquPhase1} {EquPhase2} {EquPhase3} {LinkEquRequest}");
        text.More("Phy64Sta", "  {TxPrecodeOn} {TxPrecodeReq} {NoEqualizationNeededRecv}");
    }

    private static string TrainingSetMode(uint code) => code switch
    {
        0 => "PCI Express",
        1 => "Training Set Messages",
        2 => "Alternate Protocol Negotiation",
        _ => $"??{code}",
    };

    private static string EnhancedLink(uint code) => code switch
    {
        0 => "Full Equalization required",
        1 => "Equalization bypass to highest rate support",
        2 => "No Equalization Needed",
        _ => "Modified TS1/TS2 Ordered Sets supported",
    };
}
