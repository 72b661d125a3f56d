using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>The description of a port in a capture.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Address">The station's own address.</param>
public sealed record PcapngInterface(string Name, MacAddress Address)
{
    /// <summary>The most bytes of a frame that <c>tcpdump</c> and Wireshark take.</summary>
    public const int MaxSnapLengthBytes = 262144;

    /// <summary>What it is, for people.</summary>
    public string? Description { get; init; }

    /// <summary>Bytes that are kept of each frame, 1 to 262144.</summary>
    public int SnapLengthBytes { get; init; } = MaxSnapLengthBytes;

    /// <summary>Whether the port was promiscuous.</summary>
    public bool IsPromiscuous { get; init; }
}
