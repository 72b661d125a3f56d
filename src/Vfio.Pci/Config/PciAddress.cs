using System.Globalization;

namespace Vfio.Pci;

/// <summary>Where a PCI function is: domain, bus, device, function.</summary>
/// <param name="Domain">Domain (segment), 0 on most machines.</param>
/// <param name="Bus">Bus, 0 to 255.</param>
/// <param name="Device">Device on the bus, 0 to 31.</param>
/// <param name="Function">Function of the device, 0 to 7.</param>
public readonly record struct PciAddress(uint Domain, byte Bus, byte Device, byte Function)
{
    /// <summary>Reads <c>0000:01:00.0</c> or, for domain 0, <c>01:00.0</c>.</summary>
    /// <returns>False when the text is neither.</returns>
    public static bool TryParse(string text, out PciAddress address)
    {
        ArgumentNullException.ThrowIfNull(text);
        address = default;
        string[] parts = text.Split(':');
        string[] slot = parts[^1].Split('.');
        if (parts.Length is < 2 or > 3 || slot.Length != 2)
            return false;
        uint domain = 0;
        if (parts.Length == 3 && (parts[0].Length > 8 || !TryHex(parts[0], out domain)))
            return false;
        if (!TryHex(parts[^2], out uint bus) || !TryHex(slot[0], out uint device) || !TryHex(slot[1], out uint function)
            || bus > 0xff || device > 0x1f || function > 7)
        {
            return false;
        }

        address = new PciAddress(domain, (byte)bus, (byte)device, (byte)function);
        return true;
    }

    /// <summary>As the kernel writes it: <c>0000:01:00.0</c>.</summary>
    public override string ToString() => $"{Domain:x4}:{Bus:x2}:{Device:x2}.{Function:x}";

    /// <summary>As <see cref="ToString"/>, without the domain when it is 0: <c>01:00.0</c>.</summary>
    public string ToShortString() => Domain == 0 ? $"{Bus:x2}:{Device:x2}.{Function:x}" : ToString();

    private static bool TryHex(string text, out uint value) =>
        uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
}
