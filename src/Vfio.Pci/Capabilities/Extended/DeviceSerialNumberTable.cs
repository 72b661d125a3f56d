using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Device Serial Number: PCI Express Base 6.0, section 7.9.3.</summary>
internal static class DeviceSerialNumberTable
{
    private static readonly CapabilityLayout Layout = new(12,
    [
        new Register(0x04, 4, "SerialLow") { { "Serial", 31, 0, Fixed } },
        new Register(0x08, 4, "SerialHigh") { { "Serial", 31, 0, Fixed } },
    ]);

    internal static readonly CapabilityTable Table = new(0x03, true, "Device Serial Number", _ => Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("SerialHigh"))
            return;
        ulong serial = (ulong)text.Value("SerialHigh") << 32 | text.Value("SerialLow");
        text.Title = $"Device Serial Number {string.Join('-', $"{serial:x16}".Chunk(2).Select(pair => new string(pair)))}";
    }
}
