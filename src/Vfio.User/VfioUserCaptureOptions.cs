using Vfio.Captures;
using Vfio.User.Captures;

namespace Vfio.User;

/// <summary>What a capture keeps of the messages.</summary>
public sealed record VfioUserCaptureOptions
{
    /// <summary>The largest <see cref="SnapLengthBytes"/>: 262108, so that a packet has the 262144 bytes that Wireshark takes.</summary>
    public const int MaxSnapLengthBytes = PcapngSource.MaxSnapLengthBytes - CapturePoint.PrefixBytes;

    /// <summary>What is captured, for people: the name of the capture's interface. Its first 300 characters are kept.</summary>
    public string Name { get; init; } = "vfio-user";

    /// <summary>Bytes that are kept of each message, its header of 16 bytes included: 16 to <see cref="MaxSnapLengthBytes"/>. The length of a
    /// message that is cut is kept. Default: 65536.</summary>
    public int SnapLengthBytes { get; init; } = 65536;

    /// <summary>Whether the contents of memory (DMA_READ, DMA_WRITE) and migration data are left out; addresses and lengths are kept.
    /// Default: no.</summary>
    public bool RedactsDma { get; init; }
}
