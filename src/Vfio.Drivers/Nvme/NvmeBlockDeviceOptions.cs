namespace Vfio.Drivers.Nvme;

/// <summary>How a namespace is opened as a device of bytes.</summary>
public sealed record NvmeBlockDeviceOptions
{
    /// <summary>How many commands may be in flight; fewer where the controller's queues are smaller.</summary>
    public int Depth { get; init; } = 32;

    /// <summary>Whether to sleep until completions interrupt. Otherwise the calling thread spins: the shortest time, all of a
    /// processor; asynchronous calls are then over when they return. A function without MSI-X is always polled.</summary>
    public bool Interrupts { get; init; } = true;

    /// <summary>The most that one command moves, in bytes; each command in flight has a buffer of that size.</summary>
    public int CommandBytes { get; init; } = 128 << 10;
}
