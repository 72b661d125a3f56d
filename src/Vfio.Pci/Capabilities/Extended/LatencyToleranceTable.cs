using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Latency Tolerance Reporting: PCI Express Base 6.0, section 7.8.2.</summary>
/// <remarks>All fixed: the limits come from the platform, which alone knows what lies above.</remarks>
internal static class LatencyToleranceTable
{
    private static readonly CapabilityLayout Layout = new(8,
    [
        new Register(0x04, 2, "Max snoop latency") { { "Value", 9, 0, Fixed }, { "Scale", 12, 10, Fixed } },
        new Register(0x06, 2, "Max no snoop latency") { { "Value", 9, 0, Fixed }, { "Scale", 12, 10, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x18, true, "Latency Tolerance Reporting", _ => Layout)
    {
        Describe = text =>
        {
            foreach (string register in (string[])["Max snoop latency", "Max no snoop latency"])
                text.Line(register, $"{register}: {Nanoseconds(text.Get(register, "Value"), text.Get(register, "Scale"))}ns");
        },
    };

    /// <summary>A latency: each step of the scale is a factor of 32.</summary>
    internal static ulong Nanoseconds(uint value, uint scale) => (ulong)value << (5 * (int)scale);
}
