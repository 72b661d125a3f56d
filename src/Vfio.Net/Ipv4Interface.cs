using System.Globalization;

namespace Vfio.Net;

/// <summary>An address in its network: <c>192.0.2.7/24</c>.</summary>
/// <param name="Address">The address.</param>
/// <param name="PrefixBits">How many leading bits name the network, 1 to 32.</param>
public readonly record struct Ipv4Interface(Ipv4Address Address, int PrefixBits)
{
    /// <summary>The prefix of a text that names none.</summary>
    public const int UsualPrefixBits = 24;

    private uint HostMask => (uint)(0xffff_ffffUL >> PrefixBits);

    /// <summary>Whether an address is in the network, so that it is reached without a gateway.</summary>
    public bool Contains(Ipv4Address other) => ((other.Value ^ Address.Value) & ~HostMask) == 0;

    /// <summary>Whether an address stands for all hosts of this network.</summary>
    /// <remarks>RFC 1122, section 3.2.1.3: all ones after the prefix, or all zeros as of old. RFC 3021: a network of two has neither.</remarks>
    public bool IsBroadcast(Ipv4Address other)
    {
        uint host = other.Value & HostMask;
        return PrefixBits < 31 && Contains(other) && (host == 0 || host == HostMask);
    }

    /// <summary>Reads an address of one host with a prefix, or without one, which is taken as 24.</summary>
    /// <returns>False when the text is anything else, or names the network rather than a host of it.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out Ipv4Interface result)
    {
        result = default;
        int slash = text.IndexOf('/');
        int prefix = UsualPrefixBits;
        if (slash >= 0 && (!int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out prefix) || prefix is < 1 or > 32))
            return false;
        if (!Ipv4Address.TryParse(slash < 0 ? text : text[..slash], out Ipv4Address address) || !address.IsSingleHost)
            return false;
        result = new Ipv4Interface(address, prefix);
        return !result.IsBroadcast(address);
    }

    /// <summary>Address and prefix.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Address}/{PrefixBits}");
}
