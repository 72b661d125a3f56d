using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Config.PortType;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>The PCI Express capability in words: which fields mean something depends on the kind of port.</summary>
internal static class ExpressText
{
    internal static void Describe(CapabilityText text)
    {
        if (!text.Has("Flags"))
            return;
        PortType type = (PortType)text.Get("Flags", "Type");
        string slot = type is RootPort or DownstreamPort or PciToExpressBridge ? " ({Slot})" : "";
        text.SetTitle("Flags", $"Express (v{{Version}}) {{Type}}{slot}, MSI {{MSI}}");
        DescribeDevice(text, type);
        DescribeLink(text, type);
        DescribeSlot(text);
        text.Line("RootCap", "RootCap: {CRSVisible}");
        text.Line("RootCtl", "RootCtl: {ErrCorrectable} {ErrNon-Fatal} {ErrFatal} {PMEIntEna} {CRSVisible}");
        text.Line("RootSta", "RootSta: PME ReqID {PME ReqID}, {PMEStatus} {PMEPending}");
        DescribeSecondDevice(text, type);
        DescribeSecondLink(text, type);
    }

    private static void DescribeDevice(CapabilityText text, PortType type)
    {
        if (!text.Has("DevSta"))
            return;
        bool isEndpoint = type is Endpoint or LegacyEndpoint;
        bool canReset = isEndpoint || type == IntegratedEndpoint;
        bool hasPowerLimit = type is Endpoint or UpstreamPort or ExpressToPciBridge;
        // Only endpoints have latencies and the power limit; elsewhere these bits are undefined.
        text.Leave("DevCap", "L0s", "L1", "PowerLimitValue", "PowerLimitScale");
        text.Line("DevCap", "DevCap:\tMaxPayload {MaxPayload} bytes, PhantFunc {PhantFunc}"
            + (isEndpoint ? ", Latency L0s {L0s}, L1 {L1}" : ""));
        text.More("DevCap", "{ExtTag}"
            + (isEndpoint || type is UpstreamPort or ExpressToPciBridge ? " {AttnBtn} {AttnInd} {PwrInd}" : "")
            + " {RBE}"
            + (canReset ? " {FLReset}" : "")
            + (hasPowerLimit ? $" SlotPowerLimit {PowerLimit(text, "DevCap")}" : ""));
        text.Line("DevCtl", "DevCtl:\t{CorrErr} {NonFatalErr} {FatalErr} {UnsupReq}");
        text.More("DevCtl", "{RlxdOrd} {ExtTag} {PhantFunc} {AuxPwr} {NoSnoop}"
            + (type == ExpressToPciBridge ? " BrConfRtry{FLReset!}" : "")
            + (canReset && text.IsSet("DevCap", "FLReset") ? " {FLReset}" : ""));
        text.More("DevCtl", "MaxPayload {MaxPayload} bytes, MaxReadReq {MaxReadReq} bytes");
        text.Line("DevSta", "DevSta:\t{CorrErr} {NonFatalErr} {FatalErr} {UnsupReq} {AuxPwr} {TransPend}");
    }

    private static void DescribeLink(CapabilityText text, PortType type)
    {
        if (!text.Has("LnkSta"))
            return;
        uint aspm = text.Get("LnkCap", "ASPM");
        string[] latencies = [.. aspm.Get(0) ? ["L0s {L0s}"] : Array.Empty<string>(), .. aspm.Get(1) ? ["L1 {L1}"] : Array.Empty<string>()];
        text.Leave("LnkCap", "L0s", "L1");
        text.Line("LnkCap", "LnkCap:\tPort #{Port}, Speed {Speed}, Width {Width}, ASPM {ASPM}"
            + (latencies.Length > 0 ? $", Exit Latency {string.Join(", ", latencies)}" : ""));
        text.More("LnkCap", "{ClockPM} {Surprise} {LLActRep} {BwNot} {ASPMOptComp}");
        bool hasBoundary = type is RootPort or Endpoint or LegacyEndpoint or ExpressToPciBridge;
        text.Line("LnkCtl", $"LnkCtl:\tASPM {{ASPM}};{(hasBoundary ? " RCB {RCB} bytes," : "")} {{Disabled}} {{CommClk}}");
        text.More("LnkCtl", "{ExtSynch} {ClockPM} {AutWidDis} {BWInt} {AutBWInt}");
        text.Line("LnkSta", $"LnkSta:\tSpeed {{Speed}}{Compare("Speed")}, Width {{Width}}{Compare("Width")}");
        text.More("LnkSta", "{TrErr} {Train} {SlotClk} {DLActive} {BWMgmt} {ABWMgmt}");

        string Compare(string field) => text.Get("LnkSta", field).CompareTo(text.Get("LnkCap", field)) switch
        {
            > 0 => " (overdriven)",
            // Below a port there may be a card that can do less.
            < 0 when type is not (RootPort or DownstreamPort or PciToExpressBridge) => " (downgraded)",
            _ => "",
        };
    }

    private static void DescribeSlot(CapabilityText text)
    {
        if (!text.Has("SltSta"))
            return;
        text.Line("SltCap", "SltCap:\t{AttnBtn} {PwrCtrl} {MRL} {AttnInd} {PwrInd} {HotPlug} {Surprise}");
        text.More("SltCap", $"Slot #{{Slot}}, PowerLimit {PowerLimit(text, "SltCap")}; {{Interlock}} {{NoCompl}}");
        text.Line("SltCtl", "SltCtl:\tEnable: {AttnBtn} {PwrFlt} {MRL} {PresDet} {CmdCplt} {HPIrq} {LinkChg}");
        text.More("SltCtl", "Control: AttnInd {AttnInd}, PwrInd {PwrInd}, {Power} {Interlock}");
        text.Line("SltSta", "SltSta:\tStatus: {AttnBtn} {PowerFlt} {MRL} {CmdCplt} {PresDet} {Interlock}");
        text.More("SltSta", "Changed: MRL{MRLChanged!} PresDet{PresDetChanged!} {LinkState}");
    }

    private static void DescribeSecondDevice(CapabilityText text, PortType type)
    {
        if (!text.Has("DevCtl2"))
            return;
        bool isPort = type is RootPort or UpstreamPort or DownstreamPort;
        bool forwards = type is RootPort or DownstreamPort;
        text.Line("DevCap2", "DevCap2: Completion Timeout: {Completion Timeout}, {TimeoutDis} {NROPrPrP} {LTR}");
        text.More("DevCap2", " {10BitTagComp} {10BitTagReq} OBFF {OBFF}, {ExtFmt} {EETLPPrefix}"
            + (text.IsSet("DevCap2", "EETLPPrefix") ? ", MaxEETLPPrefixes {MaxEETLPPrefixes}" : ""));
        text.More("DevCap2", " EmergencyPowerReduction {EmergencyPowerReduction}, {EmergencyPowerReductionInit}");
        text.More("DevCap2", " {FRS}"
            + (type == RootPort ? " LN System CLS {LN System CLS}," : "")
            + (type is RootPort or Endpoint ? " {TPHComp}" : "")
            + (forwards ? " {ARIFwd}" : ""));
        bool completes = type == RootPort || HasMemory(text.Space);
        if (isPort || HasMemory(text.Space))
            text.More("DevCap2", " AtomicOpsCap:" + (isPort ? " {Routing}" : "") + (completes ? " {32bit} {64bit} {128bitCAS}" : ""));

        text.Line("DevCtl2", "DevCtl2: Completion Timeout: {Completion Timeout}, {TimeoutDis} {LTR} {10BitTagReq} OBFF {OBFF},"
            + (forwards ? " {ARIFwd}" : ""));
        bool requests = type is RootPort or Endpoint or IntegratedEndpoint or LegacyEndpoint;
        if (requests || isPort)
            text.More("DevCtl2", " AtomicOpsCtl:" + (requests ? " {ReqEn}" : "") + (isPort ? " {EgressBlck}" : ""));
    }

    private static void DescribeSecondLink(CapabilityText text, PortType type)
    {
        if (!text.Has("LnkSta2"))
            return;
        // In a device of several functions, function 0 speaks for the link.
        bool speaks = type is not (Endpoint or LegacyEndpoint) || text.Facts.Address is null or { Device: 0, Function: 0 };
        if (speaks)
        {
            if (text.Value("LnkCap2") != 0)
                text.Line("LnkCap2", "LnkCap2: Supported Link Speeds: {Supported Link Speeds}, {Crosslink} {Retimer} {2Retimers} {DRS}");
            text.Line("LnkCtl2", "LnkCtl2: Target Link Speed: {Target Link Speed}, {EnterCompliance} {SpeedDis}"
                + (type == DownstreamPort ? ", Selectable De-emphasis: {Selectable De-emphasis}" : ""));
            text.More("LnkCtl2", " Transmit Margin: {Transmit Margin}, {EnterModifiedCompliance} {ComplianceSOS}");
            text.More("LnkCtl2", " Compliance Preset/De-emphasis: {Compliance Preset/De-emphasis}");
        }

        bool tellsPresence = speaks && text.IsSet("LnkCap2", "DRS") && type is RootPort or DownstreamPort or PciToExpressBridge;
        text.Line("LnkSta2",
            "LnkSta2: Current De-emphasis Level: {Current De-emphasis Level}, {EqualizationComplete} {EqualizationPhase1}");
        text.More("LnkSta2", " {EqualizationPhase2} {EqualizationPhase3} {LinkEqualizationRequest}");
        text.More("LnkSta2", " {Retimer} {2Retimers} CrosslinkRes: {CrosslinkRes}" + (tellsPresence ? ", {DRS}" : ""));
        if (tellsPresence)
            text.More("LnkSta2", " DownstreamComp: {DownstreamComp}");
    }

    private static string PowerLimit(CapabilityText text, string register) =>
        ExpressFieldText.PowerLimit(text.Get(register, "PowerLimitValue"), text.Get(register, "PowerLimitScale"));

    private static bool HasMemory(ConfigSpace space)
    {
        int bars = space.HeaderType switch
        {
            0 => 6,
            1 => 2,
            _ => 0,
        };
        for (int index = 0; index < bars; index++)
        {
            uint bar = space.Read32(0x10 + (4 * index));
            if (bar is not (0 or uint.MaxValue) && (bar & 1) == 0)
                return true;
            if ((bar & 7) == 4)
                index++;
        }

        return false;
    }
}
