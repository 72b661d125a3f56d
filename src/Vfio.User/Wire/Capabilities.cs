namespace Vfio.User.Wire;

/// <summary>The capabilities that one side names in VERSION; null for each that it does not name.</summary>
/// <remarks>vfio-user, section "VFIO_USER_VERSION". Written and read by <see cref="CapabilitiesJson"/>.</remarks>
internal readonly record struct Capabilities
{
    /// <summary><c>max_msg_fds</c>: descriptors that the sender takes in one message; 1 when null.</summary>
    public uint? MaxMessageDescriptors { get; init; }

    /// <summary><c>max_data_xfer_size</c>: data bytes that the sender takes in one message; 1 MiB when null.</summary>
    public ulong? MaxDataTransferBytes { get; init; }

    /// <summary><c>max_dma_maps</c>: mappings that may live at a time; 65535 when null.</summary>
    public ulong? MaxDmaMaps { get; init; }

    /// <summary><c>pgsizes</c>: page sizes of DMA ranges, or'ed together, in bytes; 4096 when null.</summary>
    public ulong? PageSizes { get; init; }

    /// <summary><c>write_multiple</c>: takes REGION_WRITE_MULTI; false when null.</summary>
    public bool? WriteMultiple { get; init; }

    /// <summary><c>twin_socket.supported</c>: commands of the server may have a socket of their own; false when null.</summary>
    public bool? TwinSocket { get; init; }

    /// <summary><c>twin_socket.fd_index</c>: which descriptor of the reply is that socket.</summary>
    public uint? TwinSocketDescriptor { get; init; }

    /// <summary><c>migration.pgsize</c>: page size of dirty bitmaps in bytes; does not support migration when null.</summary>
    public ulong? MigrationPageBytes { get; init; }
}
