namespace Vfio.Net;

/// <summary>What the payload of an Ethernet frame is; below 0x0600 it is a length.</summary>
/// <remarks>Assigned by IEEE; any other value may come.</remarks>
internal enum EtherType : ushort
{
    /// <summary>RFC 894.</summary>
    Ipv4 = 0x0800,

    /// <summary>RFC 826.</summary>
    Arp = 0x0806,

    /// <summary>A customer's tag follows: IEEE 802.1Q.</summary>
    Tag = 0x8100,

    /// <summary>A provider's tag follows: IEEE 802.1ad.</summary>
    ServiceTag = 0x88a8,
}
