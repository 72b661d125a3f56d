using Vfio.Pci.Decoding;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Vendor-specific capabilities that have a public meaning: those of virtio functions.</summary>
/// <remarks>Virtual I/O Device 1.2, section 4.1.4.</remarks>
internal static class VendorSpecificText
{
    private const ushort VirtioVendor = 0x1af4;
    private const int NotifyType = 2;

    internal static void Describe(CapabilityText text)
    {
        int length = text.Has("Length") ? (int)text.Value("Length") : 0;
        int offset = text.Capability.Offset;
        ConfigSpace space = text.Space;
        if (length < 16 || !IsVirtio(text) || !space.Knows(offset, length))
        {
            text.Title = $"{text.Capability.Name}: Len={length:x2} <?>";
            return;
        }

        byte type = space.Read8(offset + 3);
        text.Title = $"{text.Capability.Name}: VirtIO: {TypeName(type)}";
        text.Add($"BAR={space.Read8(offset + 4)} offset={space.Read32(offset + 8):x8} size={space.Read32(offset + 12):x8}"
            + (type == NotifyType && length >= 20 ? $" multiplier={space.Read32(offset + 16):x8}" : ""));
    }

    private static bool IsVirtio(CapabilityText text) =>
        (text.Facts.VendorId ?? text.Space.VendorId) == VirtioVendor
        && (text.Facts.DeviceId ?? text.Space.DeviceId) is >= 0x1000 and <= 0x107f;

    private static string TypeName(byte type) => type switch
    {
        1 => "CommonCfg",
        2 => "Notify",
        3 => "ISR",
        4 => "DeviceCfg",
        _ => "<unknown>",
    };
}
