using Vfio.Pci.Config;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>How fields of the PCI Express capability read.</summary>
internal static class ExpressFieldText
{
    internal static string PortType(uint type) => type switch
    {
        0 => "Endpoint",
        1 => "Legacy Endpoint",
        4 => "Root Port",
        5 => "Upstream Port",
        6 => "Downstream Port",
        7 => "PCI-Express to PCI/PCI-X Bridge",
        8 => "PCI/PCI-X to PCI-Express Bridge",
        9 => "Root Complex Integrated Endpoint",
        10 => "Root Complex Event Collector",
        _ => $"Unknown type {type}",
    };

    internal static string L0sLatency(uint code) => code switch
    {
        < 4 => $"<{64 << (int)code}ns",
        < 7 => $"<{1 << (int)(code - 4)}us",
        _ => "unlimited",
    };

    internal static string L1Latency(uint code) => code < 7 ? $"<{1 << (int)code}us" : "unlimited";

    internal static string Speed(uint code) => code switch
    {
        1 => "2.5GT/s",
        2 => "5GT/s",
        3 => "8GT/s",
        4 => "16GT/s",
        5 => "32GT/s",
        6 => "64GT/s",
        _ => "unknown",
    };

    internal static string TargetSpeed(uint code) => code switch
    {
        // A register of zeros means that there is only the first speed.
        0 => Speed(1),
        <= 6 => Speed(code),
        _ => "Unknown",
    };

    internal static string Speeds(uint vector) => vector switch
    {
        0 => "Unknown",
        1 => "2.5GT/s",
        >= 0x40 => "RsvdP",
        _ => $"2.5-{Speed((uint)(32 - uint.LeadingZeroCount(vector)))}",
    };

    internal static string AspmSupport(uint code) => code switch
    {
        0 => "not supported",
        1 => "L0s",
        2 => "L1",
        _ => "L0s L1",
    };

    internal static string AspmEnabled(uint code) => code switch
    {
        0 => "Disabled",
        1 => "L0s Enabled",
        2 => "L1 Enabled",
        _ => "L0s L1 Enabled",
    };

    internal static string Indicator(uint code) => code switch
    {
        0 => "Unknown",
        1 => "On",
        2 => "Blink",
        _ => "Off",
    };

    internal static string TimeoutRange(uint ranges) => ranges switch
    {
        0 => "Not Supported",
        1 => "Range A",
        2 => "Range B",
        3 => "Range AB",
        6 => "Range BC",
        7 => "Range ABC",
        14 => "Range BCD",
        15 => "Range ABCD",
        _ => "Unknown",
    };

    internal static string TimeoutValue(uint code) => code switch
    {
        0 => "50us to 50ms",
        1 => "50us to 100us",
        2 => "1ms to 10ms",
        5 => "16ms to 55ms",
        6 => "65ms to 210ms",
        9 => "260ms to 900ms",
        10 => "1s to 3.5s",
        13 => "4s to 13s",
        14 => "17s to 64s",
        _ => "Unknown",
    };

    internal static string HintsCompleter(uint code) => code switch
    {
        0 => "TPHComp- ExtTPHComp-",
        1 => "TPHComp+ ExtTPHComp-",
        2 => "",
        _ => "TPHComp+ ExtTPHComp+",
    };

    internal static string CacheLine(uint code) => code switch
    {
        1 => "64byte cachelines",
        2 => "128byte cachelines",
        3 => "Reserved",
        _ => "Not Supported",
    };

    internal static string FlushFill(uint code) => code switch
    {
        1 => "Via message",
        2 => "Via WAKE#",
        3 => "Via message/WAKE#",
        _ => "Not Supported",
    };

    internal static string FlushFillControl(uint code) => code switch
    {
        0 => "Disabled",
        1 => "Via message A",
        2 => "Via message B",
        _ => "Via WAKE#",
    };

    internal static string EmergencyPower(uint code) => code switch
    {
        1 => "Dev Specific",
        2 => "Form Factor Dev Specific",
        3 => "Reserved",
        _ => "Not Supported",
    };

    internal static string Deemphasis(uint code) => code == 0 ? "-6dB" : "-3.5dB";

    internal static string TransmitMargin(uint code) => code switch
    {
        0 => "Normal Operating Range",
        1 => "800-1200mV(full-swing)/400-700mV(half-swing)",
        <= 5 => "200-400mV(full-swing)/100-200mV(half-swing)",
        _ => "Unknown",
    };

    internal static string CompliancePreset(uint code) => code switch
    {
        0 => "-6dB de-emphasis, 0dB preshoot",
        1 => "-3.5dB de-emphasis, 0dB preshoot",
        2 => "-4.4dB de-emphasis, 0dB preshoot",
        3 => "-2.5dB de-emphasis, 0dB preshoot",
        4 => "0dB de-emphasis, 0dB preshoot",
        5 => "0dB de-emphasis, 1.9dB preshoot",
        6 => "0dB de-emphasis, 2.5dB preshoot",
        7 => "-6.0dB de-emphasis, 3.5dB preshoot",
        8 => "-3.5dB de-emphasis, 3.5dB preshoot",
        9 => "0dB de-emphasis, 3.5dB preshoot",
        _ => "Unknown",
    };

    internal static string Crosslink(uint code) => code switch
    {
        0 => "unsupported",
        1 => "Upstream Port",
        2 => "Downstream Port",
        _ => "incomplete",
    };

    internal static string DownstreamComponent(uint code) => code switch
    {
        0 => "Link Down - Not Determined",
        1 => "Link Down - Not Present",
        2 => "Link Down - Present",
        4 => "Link Up - Present",
        5 => "Link Up - Present and DRS Received",
        _ => "Reserved",
    };

    /// <summary>A slot's power limit in watts: section 7.5.3.9, with its table of values above 239.</summary>
    internal static string PowerLimit(uint value, uint scale)
    {
        if (scale == 0 && value == 0xff)
            return ">600W";
        if (scale == 0 && value >= 0xf0)
            value = 250 + (25 * (value - 0xf0));
        return FormattableString.Invariant($"{value / (decimal)Math.Pow(10, scale):0.######}W");
    }
}
