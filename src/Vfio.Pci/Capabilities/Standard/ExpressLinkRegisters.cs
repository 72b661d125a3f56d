using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Link registers of the PCI Express capability: sections 7.5.3.6 to 7.5.3.8 and 7.5.3.18 to 7.5.3.20.</summary>
/// <remarks>All fixed: the link carries every function behind it.</remarks>
internal static class ExpressLinkRegisters
{
    internal static readonly Register[] First =
    [
        new Register(0x0c, 4, "LnkCap")
        {
            { "Speed", 3, 0, Fixed, ExpressFieldText.Speed },
            { "Width", 9, 4, Fixed, width => $"x{width}" },
            { "ASPM", 11, 10, Fixed, ExpressFieldText.AspmSupport },
            { "L0s", 14, 12, Fixed, ExpressFieldText.L0sLatency },
            { "L1", 17, 15, Fixed, ExpressFieldText.L1Latency },
            { "ClockPM", 18, Fixed },
            { "Surprise", 19, Fixed },
            { "LLActRep", 20, Fixed },
            { "BwNot", 21, Fixed },
            { "ASPMOptComp", 22, Fixed },
            { "Port", 31, 24, Fixed, FieldText.Decimal },
        },
        new Register(0x10, 2, "LnkCtl")
        {
            { "ASPM", 1, 0, Fixed, ExpressFieldText.AspmEnabled },
            { "PtmPropDelayB", 2, Fixed },
            { "RCB", 3, 3, Fixed, code => code == 0 ? "64" : "128" },
            { "Disabled", 4, Fixed },
            { "Retrain", 5, Fixed },
            { "CommClk", 6, Fixed },
            { "ExtSynch", 7, Fixed },
            { "ClockPM", 8, Fixed },
            { "AutWidDis", 9, Fixed },
            { "BWInt", 10, Fixed },
            { "AutBWInt", 11, Fixed },
            { "SRISClk", 12, Fixed },
            { "FlitModeDis", 13, Fixed },
            { "DRSSig", 15, 14, Fixed },
        },
        new Register(0x12, 2, "LnkSta")
        {
            { "Speed", 3, 0, Fixed, ExpressFieldText.Speed },
            { "Width", 9, 4, Fixed, width => $"x{width}" },
            { "TrErr", 10, Fixed },
            { "Train", 11, Fixed },
            { "SlotClk", 12, Fixed },
            { "DLActive", 13, Fixed },
            { "BWMgmt", 14, FixedStatus },
            { "ABWMgmt", 15, FixedStatus },
        },
    ];

    internal static readonly Register[] Second =
    [
        new Register(0x2c, 4, "LnkCap2")
        {
            { "Supported Link Speeds", 7, 1, Fixed, ExpressFieldText.Speeds },
            { "Crosslink", 8, Fixed },
            { "SKPOSGen", 15, 9, Fixed },
            { "SKPOSRcv", 22, 16, Fixed },
            { "Retimer", 23, Fixed },
            { "2Retimers", 24, Fixed },
            { "DRS", 31, Fixed },
        },
        new Register(0x30, 2, "LnkCtl2")
        {
            { "Target Link Speed", 3, 0, Fixed, ExpressFieldText.TargetSpeed },
            { "EnterCompliance", 4, Fixed },
            { "SpeedDis", 5, Fixed },
            { "Selectable De-emphasis", 6, 6, Fixed, ExpressFieldText.Deemphasis },
            { "Transmit Margin", 9, 7, Fixed, ExpressFieldText.TransmitMargin },
            { "EnterModifiedCompliance", 10, Fixed },
            { "ComplianceSOS", 11, Fixed },
            { "Compliance Preset/De-emphasis", 15, 12, Fixed, ExpressFieldText.CompliancePreset },
        },
        new Register(0x32, 2, "LnkSta2")
        {
            { "Current De-emphasis Level", 0, 0, Fixed, ExpressFieldText.Deemphasis },
            { "EqualizationComplete", 1, Fixed },
            { "EqualizationPhase1", 2, Fixed },
            { "EqualizationPhase2", 3, Fixed },
            { "EqualizationPhase3", 4, Fixed },
            { "LinkEqualizationRequest", 5, FixedStatus },
            { "Retimer", 6, Fixed },
            { "2Retimers", 7, Fixed },
            { "CrosslinkRes", 9, 8, Fixed, ExpressFieldText.Crosslink },
            { "FlitMode", 10, Fixed },
            { "DownstreamComp", 14, 12, Fixed, ExpressFieldText.DownstreamComponent },
            { "DRS", 15, FixedStatus },
        },
    ];
}
