using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>L1 PM Substates: PCI Express Base 6.0, section 7.8.3.</summary>
/// <remarks>All fixed: both ends of the link must agree.</remarks>
internal static class LinkPowerTable
{
    internal static readonly CapabilityTable Table = new(0x1e, true, "L1 PM Substates", Layout) { Describe = Describe, IsHidden = true };

    private static readonly Register[] Start =
    [
        new Register(0x04, 4, "L1SubCap")
        {
            { "PCI-PM_L1.2", 0, Fixed },
            { "PCI-PM_L1.1", 1, Fixed },
            { "ASPM_L1.2", 2, Fixed },
            { "ASPM_L1.1", 3, Fixed },
            { "L1_PM_Substates", 4, Fixed },
            { "LinkActivation", 5, Fixed },
            { "PortCommonModeRestoreTime", 15, 8, Fixed, time => $"{time}us" },
            { "PortTPowerOnScale", 17, 16, Fixed },
            { "PortTPowerOnValue", 23, 19, Fixed },
        },
        new Register(0x08, 4, "L1SubCtl1")
        {
            { "PCI-PM_L1.2", 0, Fixed },
            { "PCI-PM_L1.1", 1, Fixed },
            { "ASPM_L1.2", 2, Fixed },
            { "ASPM_L1.1", 3, Fixed },
            { "LinkActivationInt", 4, Fixed },
            { "LinkActivationCtl", 5, Fixed },
            { "T_CommonMode", 15, 8, Fixed, time => $"{time}us" },
            { "LTR1.2_ThresholdValue", 25, 16, Fixed },
            { "LTR1.2_ThresholdScale", 31, 29, Fixed },
        },
        new Register(0x0c, 4, "L1SubCtl2") { { "T_PwrOnScale", 1, 0, Fixed }, { "T_PwrOnValue", 7, 3, Fixed } },
    ];

    private static CapabilityLayout Layout(CapabilityView view) => view.Read(4, 4).Get(5)
        ? new(0x14, [.. Start, new Register(0x10, 4, "L1SubSta") { { "LinkActivation", 0, FixedStatus } }])
        : new(0x10, Start);

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("L1SubCtl2"))
        {
            text.Add("<unreadable>");
            return;
        }

        bool hasAspm = text.IsSet("L1SubCap", "ASPM_L1.2");
        bool hasSecond = hasAspm || text.IsSet("L1SubCap", "PCI-PM_L1.2");
        text.Line("L1SubCap", "L1SubCap: {PCI-PM_L1.2} {PCI-PM_L1.1} {ASPM_L1.2} {ASPM_L1.1} {L1_PM_Substates}");
        if (hasSecond)
        {
            text.More("L1SubCap", "  PortCommonModeRestoreTime={PortCommonModeRestoreTime} PortTPowerOnTime="
                + PowerOn(text.Get("L1SubCap", "PortTPowerOnScale"), text.Get("L1SubCap", "PortTPowerOnValue")));
        }

        text.Line("L1SubCtl1", "L1SubCtl1: {PCI-PM_L1.2} {PCI-PM_L1.1} {ASPM_L1.2} {ASPM_L1.1}");
        if (hasSecond)
        {
            uint scale = text.Get("L1SubCtl1", "LTR1.2_ThresholdScale");
            string threshold = scale > 5
                ? "<error>"
                : $"{LatencyToleranceTable.Nanoseconds(text.Get("L1SubCtl1", "LTR1.2_ThresholdValue"), scale)}ns";
            text.More("L1SubCtl1", "   T_CommonMode={T_CommonMode}" + (hasAspm ? $" LTR1.2_Threshold={threshold}" : ""));
        }

        text.Add("L1SubCtl2:" + (hasSecond
            ? " T_PwrOn=" + PowerOn(text.Get("L1SubCtl2", "T_PwrOnScale"), text.Get("L1SubCtl2", "T_PwrOnValue"))
            : ""));
    }

    private static string PowerOn(uint scale, uint value) => scale switch
    {
        0 => $"{2 * value}us",
        1 => $"{10 * value}us",
        2 => $"{100 * value}us",
        _ => "<error>",
    };
}
