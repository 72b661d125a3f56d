namespace Vfio.Net;

/// <summary>Which way a frame went; the values are those of pcapng's <c>epb_flags</c>, bits 1:0.</summary>
internal enum PacketDirection
{
    /// <summary>Unknown.</summary>
    Unknown = 0,

    /// <summary>It was received.</summary>
    Inbound = 1,

    /// <summary>It was sent.</summary>
    Outbound = 2,
}
