using System.Globalization;

namespace Vfio.Net;

/// <summary>An address of IPv4, its first byte on the wire uppermost.</summary>
/// <param name="Value">The address; <c>192.0.2.7</c> is 0xc0000207.</param>
public readonly record struct Ipv4Address(uint Value)
{
    /// <summary>Length on the wire, in bytes.</summary>
    public const int Bytes = 4;

    /// <summary><c>0.0.0.0</c>: this host, before it knows its address.</summary>
    public static Ipv4Address Unspecified => default;

    /// <summary>Whether it can be the source of a packet on a wire: one host, with an address.</summary>
    /// <remarks>RFC 1122, section 3.2.1.3: not 0/8, not 127/8, and nothing from 224/4 on, which is groups, reserved and broadcast.</remarks>
    public bool IsSingleHost => Value >> 24 is not (0 or 127 or >= 224);

    /// <summary>Reads four decimal numbers with dots between them.</summary>
    /// <returns>False when the text is anything else.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out Ipv4Address address)
    {
        address = default;
        uint value = 0;
        int parts = 0;
        foreach (Range part in text.Split('.'))
        {
            ReadOnlySpan<char> word = text[part];
            if (++parts > Bytes || word.Length > 3 || !byte.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out byte next))
                return false;
            value = (value << 8) | next;
        }

        address = new Ipv4Address(value);
        return parts == Bytes;
    }

    /// <summary>The address as <c>192.0.2.7</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(byte)(Value >> 24)}.{(byte)(Value >> 16)}.{(byte)(Value >> 8)}.{(byte)Value}");
}
