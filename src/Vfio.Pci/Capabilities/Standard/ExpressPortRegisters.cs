using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Slot and root registers of the PCI Express capability: sections 7.5.3.9 to 7.5.3.14 and 7.5.3.21 to 7.5.3.23.</summary>
/// <remarks>All fixed: ports belong to the machine.</remarks>
internal static class ExpressPortRegisters
{
    internal static readonly Register[] Slot =
    [
        new Register(0x14, 4, "SltCap")
        {
            { "AttnBtn", 0, Fixed },
            { "PwrCtrl", 1, Fixed },
            { "MRL", 2, Fixed },
            { "AttnInd", 3, Fixed },
            { "PwrInd", 4, Fixed },
            { "Surprise", 5, Fixed },
            { "HotPlug", 6, Fixed },
            { "PowerLimitValue", 14, 7, Fixed, FieldText.Decimal },
            { "PowerLimitScale", 16, 15, Fixed, FieldText.Decimal },
            { "Interlock", 17, Fixed },
            { "NoCompl", 18, Fixed },
            { "Slot", 31, 19, Fixed, FieldText.Decimal },
        },
        new Register(0x18, 2, "SltCtl")
        {
            { "AttnBtn", 0, Fixed },
            { "PwrFlt", 1, Fixed },
            { "MRL", 2, Fixed },
            { "PresDet", 3, Fixed },
            { "CmdCplt", 4, Fixed },
            { "HPIrq", 5, Fixed },
            { "AttnInd", 7, 6, Fixed, ExpressFieldText.Indicator },
            { "PwrInd", 9, 8, Fixed, ExpressFieldText.Indicator },
            { "Power", 10, Fixed },
            { "Interlock", 11, Fixed },
            { "LinkChg", 12, Fixed },
            { "AutoPowerLimitDis", 13, Fixed },
            { "InBandPDDis", 14, Fixed },
        },
        new Register(0x1a, 2, "SltSta")
        {
            { "AttnBtn", 0, FixedStatus },
            { "PowerFlt", 1, FixedStatus },
            { "MRLChanged", 2, FixedStatus },
            { "PresDetChanged", 3, FixedStatus },
            { "CmdCplt", 4, FixedStatus },
            { "MRL", 5, Fixed },
            { "PresDet", 6, Fixed },
            { "Interlock", 7, Fixed },
            { "LinkState", 8, FixedStatus },
        },
    ];

    internal static readonly Register[] Root =
    [
        new Register(0x1c, 2, "RootCtl")
        {
            { "ErrCorrectable", 0, Fixed },
            { "ErrNon-Fatal", 1, Fixed },
            { "ErrFatal", 2, Fixed },
            { "PMEIntEna", 3, Fixed },
            { "CRSVisible", 4, Fixed },
        },
        new Register(0x1e, 2, "RootCap") { { "CRSVisible", 0, Fixed } },
        new Register(0x20, 4, "RootSta")
        {
            { "PME ReqID", 15, 0, Fixed, id => $"{id:x4}" },
            { "PMEStatus", 16, FixedStatus },
            { "PMEPending", 17, Fixed },
        },
    ];

    internal static readonly Register[] SecondSlot =
    [
        new Register(0x34, 4, "SltCap2") { { "InBandPDDis", 0, Fixed } },
        new Register(0x38, 2, "SltCtl2"),
        new Register(0x3a, 2, "SltSta2"),
    ];
}
