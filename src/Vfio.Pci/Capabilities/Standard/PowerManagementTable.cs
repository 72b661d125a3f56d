using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Power Management: PCI Bus Power Management Interface 1.2, section 3.2.</summary>
internal static class PowerManagementTable
{
    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x02, 2, "Flags")
        {
            { "Version", 2, 0, Fixed, FieldText.Decimal },
            { "PMEClk", 3, Fixed },
            { "DSI", 5, Fixed },
            { "AuxCurrent", 8, 6, Fixed, AuxCurrent },
            { "D1", 9, Fixed },
            { "D2", 10, Fixed },
            // The user could not be told of a wake-up: it finds that the function makes none.
            { "PME", 15, 11, VirtualFixed, PmeStates },
        },
        new Register(0x04, 2, "Status")
        {
            // The state change is the guard's to make: it saves and restores around a reset by D3hot.
            { "PowerState", 1, 0, Virtual, state => $"D{state}" },
            { "NoSoftRst", 3, Fixed },
            // A wake-up would reach the owner, who cannot pass it on; the owner clears its status.
            { "PME-Enable", 8, Fixed },
            { "DSel", 12, 9, PassedThrough, FieldText.Decimal },
            { "DScale", 14, 13, Fixed, FieldText.Decimal },
            { "PME", 15, FixedStatus },
        },
        new Register(0x06, 1, "Bridge")
        {
            { "B3", 6, Fixed },
            { "BPCC", 7, Fixed },
        },
        new Register(0x07, 1, "Data") { { "Data", 7, 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x01, false, "Power Management", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        text.SetTitle("Flags", "Power Management version {Version}");
        text.Line("Flags", "Flags: {PMEClk} {DSI} {D1} {D2} AuxCurrent={AuxCurrent} PME{PME}");
        text.Line("Status", "Status: {PowerState} {NoSoftRst} {PME-Enable} DSel={DSel} DScale={DScale} {PME}");
        if (text.Has("Bridge") && text.Value("Bridge") != 0)
            text.Line("Bridge", $"Bridge: PM{{BPCC!}} B3{FieldText.Sign(!text.IsSet("Bridge", "B3"))}");
    }

    private static string AuxCurrent(uint code) => code switch
    {
        0 => "0mA",
        1 => "55mA",
        2 => "100mA",
        3 => "160mA",
        4 => "220mA",
        5 => "270mA",
        6 => "320mA",
        _ => "375mA",
    };

    private static string PmeStates(uint states) =>
        $"(D0{Sign(states, 0)},D1{Sign(states, 1)},D2{Sign(states, 2)},D3hot{Sign(states, 3)},D3cold{Sign(states, 4)})";

    private static char Sign(uint value, int bit) => FieldText.Sign(value.Get(bit));
}
