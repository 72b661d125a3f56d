namespace Vfio.Captures;

/// <summary>What the packets of a capture come from: an interface description of pcapng.</summary>
/// <param name="LinkType">What a packet begins with; LINKTYPE_* of the tcpdump group.</param>
/// <param name="Name">Its name, at most 1000 bytes.</param>
internal sealed record PcapngSource(ushort LinkType, string Name)
{
    /// <summary>LINKTYPE_ETHERNET: a packet is a frame from the destination address on.</summary>
    internal const ushort Ethernet = 1;

    /// <summary>LINKTYPE_WIRESHARK_UPPER_PDU: a packet begins with tags that name the dissector of the rest.</summary>
    internal const ushort UpperPdu = 252;

    /// <summary>The most bytes of a packet that tcpdump and Wireshark take.</summary>
    internal const int MaxSnapLengthBytes = 262144;

    /// <summary>What it is, for people, at most 1000 bytes.</summary>
    internal string? Description { get; init; }

    /// <summary>Bytes that are kept of each packet.</summary>
    internal int SnapLengthBytes { get; init; } = MaxSnapLengthBytes;

    /// <summary>The address of a network port; empty for none.</summary>
    internal byte[] MacAddress { get; init; } = [];
}
