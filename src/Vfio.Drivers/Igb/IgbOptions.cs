using Vfio.Drivers.Ethernet;

namespace Vfio.Drivers.Igb;

/// <summary>How a port of an 82576 is driven.</summary>
public sealed record IgbOptions
{
    /// <summary>Descriptors of the receive ring: a power of two from 64 to 4096. One less frame can wait there.</summary>
    public int ReceiveEntries { get; init; } = 512;

    /// <summary>Descriptors of the transmit ring: a power of two from 64 to 4096. One less frame can be on its way.</summary>
    public int TransmitEntries { get; init; } = 512;

    /// <summary>Buffers beyond those that fill both rings: how many the caller may keep while nothing stops.</summary>
    public int SpareBuffers { get; init; } = 256;

    /// <summary>Whether waiting sleeps until the function interrupts; otherwise, and when it has no MSI-X, waiting spins.</summary>
    public bool Interrupts { get; init; } = true;

    /// <summary>Shortest time between two interrupts; up to 8191 microseconds, none for the least latency.</summary>
    public TimeSpan InterruptInterval { get; init; } = TimeSpan.Zero;

    /// <summary>The station's address; null for the one that the function brings, or a random one where it brings none.</summary>
    public MacAddress? Address { get; init; }

    /// <summary>Whether drivers of its virtual functions may choose their addresses, but none of the port's others; otherwise each keeps the
    /// one that it was given. Of stations elsewhere nobody knows: allow it to those only who would not take theirs.</summary>
    public bool VirtualFunctionsMayChangeAddress { get; init; }
}
