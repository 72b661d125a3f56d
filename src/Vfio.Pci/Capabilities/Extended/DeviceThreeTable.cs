using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Device 3: PCI Express Base 6.0, section 7.7.9.</summary>
/// <remarks>All fixed: what a path supports is the machine's to find out.</remarks>
internal static class DeviceThreeTable
{
    private static readonly CapabilityLayout Layout = new(0x10,
    [
        new Register(0x04, 4, "DevCap3")
        {
            { "DMWr Request Routing", 0, Fixed },
            { "14-Bit Tag Completer", 1, Fixed },
            { "14-Bit Tag Requester", 2, Fixed },
            { "L0p", 3, Fixed },
            { "Port L0p Exit Latency", 6, 4, Fixed, ExitLatency },
            { "Retimer L0p Exit Latency", 9, 7, Fixed, ExitLatency },
            { "UIO Mem RdWr Completer", 10, Fixed },
            { "UIO Mem RdWr Requester", 11, Fixed },
        },
        new Register(0x08, 2, "DevCtl3")
        {
            { "DMWr Requester", 0, Fixed },
            { "DMWr Egress Blocking", 1, Fixed },
            { "14-Bit Tag Requester", 2, Fixed },
            { "L0p", 3, Fixed },
            { "Target Link Width", 6, 4, Fixed, FlitTables.Width },
            { "UIO Mem RdWr Requester", 7, Fixed },
            { "UIO Request 256B Boundary Disable", 8, Fixed },
        },
        new Register(0x0c, 2, "DevSta3")
        {
            { "Initial Link Width", 2, 0, Fixed, FlitTables.Width },
            { "Segment Captured", 3, Fixed },
            { "Remote L0p", 4, Fixed },
        },
    ]);

    internal static readonly CapabilityTable Table = new(0x2f, true, "Device 3", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("DevCap3"))
            return;
        text.Line("DevCap3", "DevCap3: {DMWr Request Routing}, {14-Bit Tag Completer}, {14-Bit Tag Requester}");
        text.More("DevCap3", " {L0p}" + (text.IsSet("DevCap3", "L0p")
            ? ", Port L0p Exit Latency: {Port L0p Exit Latency}, Retimer L0p Exit Latency: {Retimer L0p Exit Latency}"
            : ""));
        text.More("DevCap3", " {UIO Mem RdWr Completer}, {UIO Mem RdWr Requester}");
        if (!text.Has("DevSta3"))
            return;
        string boundary = $"UIO Request 256B Boundary{FieldText.Sign(!text.IsSet("DevCtl3", "UIO Request 256B Boundary Disable"))}";
        text.Line("DevCtl3", "DevCtl3: {DMWr Requester}, {DMWr Egress Blocking}, {14-Bit Tag Requester}");
        text.More("DevCtl3", " {L0p}, Target Link Width: {Target Link Width}");
        text.More("DevCtl3", $" {{UIO Mem RdWr Requester}}, {boundary}");
        text.Line("DevSta3", "DevSta3: Initial Link Width: {Initial Link Width}, {Segment Captured}, {Remote L0p}");
    }

    private static string ExitLatency(uint code) => code switch
    {
        0 => "Less than 1us",
        < 6 => $"{1 << (int)(code - 1)}us to less than {1 << (int)code}us",
        6 => "32us-64us",
        _ => "More than 64us",
    };
}
