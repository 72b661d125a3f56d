using static Vfio.Pci.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Device registers of the PCI Express capability: sections 7.5.3.3 to 7.5.3.5 and 7.5.3.15 to 7.5.3.17.</summary>
internal static class ExpressDeviceRegisters
{
    internal static readonly Register[] First =
    [
        new Register(0x04, 4, "DevCap")
        {
            { "MaxPayload", 2, 0, Fixed, FieldText.Payload },
            { "PhantFunc", 4, 3, Fixed, code => $"{(1 << (int)code) - 1}" },
            { "ExtTag", 5, Fixed },
            { "L0s", 8, 6, Fixed, ExpressFieldText.L0sLatency },
            { "L1", 11, 9, Fixed, ExpressFieldText.L1Latency },
            { "AttnBtn", 12, Fixed },
            { "AttnInd", 13, Fixed },
            { "PwrInd", 14, Fixed },
            { "RBE", 15, Fixed },
            { "ErrCorSubclass", 16, Fixed },
            { "RxMaxPayloadFixed", 17, Fixed },
            { "PowerLimitValue", 25, 18, Fixed, FieldText.Decimal },
            { "PowerLimitScale", 27, 26, Fixed, FieldText.Decimal },
            { "FLReset", 28, Fixed },
            { "MixedMaxPayload", 29, Fixed },
            { "TEE-IO", 30, Fixed },
        },
        new Register(0x08, 2, "DevCtl")
        {
            { "CorrErr", 0, PassedThrough },
            { "NonFatalErr", 1, PassedThrough },
            { "FatalErr", 2, PassedThrough },
            { "UnsupReq", 3, PassedThrough },
            { "RlxdOrd", 4, PassedThrough },
            // The right size depends on every device on the path, which the user cannot see.
            { "MaxPayload", 7, 5, Virtual, FieldText.Payload },
            { "ExtTag", 8, PassedThrough },
            // Phantom functions would use requester ids that the IOMMU knows nothing of.
            { "PhantFunc", 9, Fixed },
            { "AuxPwr", 10, PassedThrough },
            { "NoSnoop", 11, PassedThrough },
            // The guard passes it on, but not below the real MaxPayload.
            { "MaxReadReq", 14, 12, Virtual, FieldText.Payload },
            // The guard makes the reset, and restores what it clears. On a bridge to PCI this bit is BrConfRtry.
            { "FLReset", 15, Virtual },
        },
        new Register(0x0a, 2, "DevSta")
        {
            // A driver's error handling clears what its own function reported.
            { "CorrErr", 0, WriteOneToClear },
            { "NonFatalErr", 1, WriteOneToClear },
            { "FatalErr", 2, WriteOneToClear },
            { "UnsupReq", 3, WriteOneToClear },
            { "AuxPwr", 4, Fixed },
            { "TransPend", 5, Fixed },
            { "EmergencyPwrRed", 6, WriteOneToClear },
        },
    ];

    internal static readonly Register[] Second =
    [
        new Register(0x24, 4, "DevCap2")
        {
            { "Completion Timeout", 3, 0, Fixed, ExpressFieldText.TimeoutRange },
            { "TimeoutDis", 4, Fixed },
            { "ARIFwd", 5, Fixed },
            { "Routing", 6, Fixed },
            { "32bit", 7, Fixed },
            { "64bit", 8, Fixed },
            { "128bitCAS", 9, Fixed },
            { "NROPrPrP", 10, Fixed },
            { "LTR", 11, Fixed },
            { "TPHComp", 13, 12, Fixed, ExpressFieldText.HintsCompleter },
            { "LN System CLS", 15, 14, Fixed, ExpressFieldText.CacheLine },
            { "10BitTagComp", 16, Fixed },
            { "10BitTagReq", 17, Fixed },
            { "OBFF", 19, 18, Fixed, ExpressFieldText.FlushFill },
            { "ExtFmt", 20, Fixed },
            { "EETLPPrefix", 21, Fixed },
            { "MaxEETLPPrefixes", 23, 22, Fixed, code => $"{(code == 0 ? 4 : code)}" },
            { "EmergencyPowerReduction", 25, 24, Fixed, ExpressFieldText.EmergencyPower },
            { "EmergencyPowerReductionInit", 26, Fixed },
            { "DMWrComp", 28, Fixed },
            { "DMWrLen", 30, 29, Fixed },
            { "FRS", 31, Fixed },
        },
        new Register(0x28, 2, "DevCtl2")
        {
            { "Completion Timeout", 3, 0, PassedThrough, ExpressFieldText.TimeoutValue },
            { "TimeoutDis", 4, PassedThrough },
            // The owner sets it when it finds the functions behind a port.
            { "ARIFwd", 5, Fixed },
            { "ReqEn", 6, PassedThrough },
            { "EgressBlck", 7, PassedThrough },
            { "IDOReq", 8, PassedThrough },
            { "IDOCompl", 9, PassedThrough },
            { "LTR", 10, PassedThrough },
            // It reaches every function of the component.
            { "EmergencyPowerReductionReq", 11, Fixed },
            { "10BitTagReq", 12, PassedThrough },
            { "OBFF", 14, 13, PassedThrough, ExpressFieldText.FlushFillControl },
            { "EETLPPrefixBlk", 15, PassedThrough },
        },
        new Register(0x2a, 2, "DevSta2"),
    ];
}
