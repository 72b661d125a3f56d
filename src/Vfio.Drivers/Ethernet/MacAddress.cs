using System.Globalization;

namespace Vfio.Drivers.Ethernet;

/// <summary>Address of a station on an Ethernet: six octets.</summary>
/// <param name="Value">The octets as a number, the one that is sent first in bits 47:40.</param>
/// <remarks>IEEE 802-2014, section 8.2.</remarks>
public readonly record struct MacAddress(ulong Value)
{
    /// <summary>Octets of an address.</summary>
    public const int Bytes = 6;

    /// <summary>All stations.</summary>
    public static readonly MacAddress Broadcast = new(0xffff_ffff_ffff);

    /// <summary>I/G bit, the lowest of the first octet: a group of stations rather than one.</summary>
    public bool IsGroup => (Value & 0x0100_0000_0000) != 0;

    /// <summary>U/L bit, the second lowest of the first octet: given by whoever runs the network, not by a maker.</summary>
    public bool IsLocal => (Value & 0x0200_0000_0000) != 0;

    /// <summary>Whether a station may have it: it is no group and not all zeros.</summary>
    public bool IsStation => !IsGroup && Value is not 0 and <= 0xffff_ffff_ffff;

    /// <summary>Reads an address as it stands in a frame.</summary>
    /// <param name="source">At least six octets.</param>
    public static MacAddress Read(ReadOnlySpan<byte> source)
    {
        ulong value = 0;
        foreach (byte octet in source[..Bytes])
            value = value << 8 | octet;
        return new(value);
    }

    /// <summary>Writes the address as it stands in a frame.</summary>
    /// <param name="destination">At least six octets.</param>
    public void Write(Span<byte> destination)
    {
        for (int i = 0; i < Bytes; i++)
            destination[i] = (byte)(Value >> (8 * (Bytes - 1 - i)));
    }

    /// <summary>Reads <c>52:54:00:12:34:56</c>; hyphens do too.</summary>
    /// <returns>False when the text is no address.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out MacAddress address)
    {
        address = default;
        if (text.Length != 17)
            return false;
        ulong value = 0;
        for (int i = 0; i < text.Length; i += 3)
        {
            if (!byte.TryParse(text.Slice(i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte octet)
                || (i > 0 && text[i - 1] is not (':' or '-')))
            {
                return false;
            }

            value = value << 8 | octet;
        }

        address = new(value);
        return true;
    }

    /// <summary><c>52:54:00:12:34:56</c>.</summary>
    public override string ToString()
    {
        string digits = Value.ToString("x12", CultureInfo.InvariantCulture);
        return string.Join(':', Enumerable.Range(0, Bytes).Select(i => digits.Substring(2 * i, 2)));
    }
}
