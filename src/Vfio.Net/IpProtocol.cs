namespace Vfio.Net;

/// <summary>What the payload of an IPv4 packet is.</summary>
/// <remarks>Assigned by IANA; any other value may come.</remarks>
internal enum IpProtocol : byte
{
    /// <summary>RFC 792.</summary>
    Icmp = 1,

    /// <summary>RFC 768.</summary>
    Udp = 17,
}
