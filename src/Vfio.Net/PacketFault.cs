namespace Vfio.Net;

/// <summary>What is wrong with a packet.</summary>
internal enum PacketFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It is cut short, or its fields contradict each other.</summary>
    Malformed,

    /// <summary>Its checksum says that it was damaged.</summary>
    BadChecksum,
}
