namespace Vfio.User.Wire;

/// <summary>Numbers of the protocol, and the limits of this library.</summary>
internal static class Protocol
{
    /// <summary>The only major version.</summary>
    public const ushort MajorVersion = 0;

    /// <summary>The latest minor version; lower ones are accepted too.</summary>
    public const ushort MinorVersion = 1;

    /// <summary>Data bytes of one message when a side names no <c>max_data_xfer_size</c>, and the most that this library takes.</summary>
    public const int DefaultDataTransferBytes = 1 << 20;

    /// <summary>Live mappings when a side names no <c>max_dma_maps</c>, and the most that this library keeps.</summary>
    public const int DefaultDmaMaps = 65535;

    /// <summary>Descriptors of one message that this library announces; QEMU refuses clients and servers that announce more.</summary>
    public const int MaxDescriptors = 16;

    /// <summary>Page size of DMA ranges.</summary>
    public const int PageBytes = 4096;

    /// <summary>Longest body of VERSION that is read, in bytes.</summary>
    internal const int MaxVersionBytes = 4096;

    /// <summary>Bytes of a message beside its data: header, body and capabilities.</summary>
    internal const int OverheadBytes = 4096 + 64;

    /// <summary>The most regions, or kinds of interrupt, that a server may report.</summary>
    internal const int MaxIndexes = 256;

    /// <summary>The most vectors of one kind that a server may report; MSI-X, the largest kind, has 2048.</summary>
    internal const int MaxVectors = 65536;
}
