namespace Vfio.Devices.Igb;

/// <summary>What a descriptor says of a received frame.</summary>
/// <remarks>82576 Datasheet, section 7.1.5.2.</remarks>
internal struct IgbReceived
{
    /// <summary>RSS type in bits 3:0, packet type in bits 16:4.</summary>
    internal uint Types;

    /// <summary>RSS hash, or with RXCSUM.PCSD clear the packet checksum and the IP identification.</summary>
    internal uint Hash;

    /// <summary>VP, UDPCS, L4CS, IPCS, PIF in the bits where the descriptor has them.</summary>
    internal uint Status;

    /// <summary>Errors in bits 31:20.</summary>
    internal uint Errors;

    /// <summary>The packet checksum, for legacy descriptors.</summary>
    internal ushort PacketChecksum;

    /// <summary>The tag that was stripped.</summary>
    internal ushort Vlan;

    /// <summary>How much of the frame goes to the header buffer.</summary>
    internal int HeaderBytes;

    /// <summary>The queue.</summary>
    internal int Queue;
}
