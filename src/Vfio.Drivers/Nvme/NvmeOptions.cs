namespace Vfio.Drivers.Nvme;

/// <summary>How a controller is driven.</summary>
public sealed record NvmeOptions
{
    /// <summary>How many queue pairs to ask the controller for; it may give fewer.</summary>
    public int QueuePairs { get; init; } = 8;

    /// <summary>How long an I/O command may take; 30 s unless set.</summary>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
