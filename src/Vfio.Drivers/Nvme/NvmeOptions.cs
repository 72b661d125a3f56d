using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Drivers.Nvme;

/// <summary>How a controller is driven.</summary>
public sealed record NvmeOptions
{
    /// <summary>How long a command may take when nothing else is set, and every admin command.</summary>
    internal static readonly TimeSpan DefaultCommandTimeout = TimeSpan.FromSeconds(30);

    /// <summary>How many queue pairs to ask the controller for; it may give fewer.</summary>
    public int QueuePairs { get; init; } = 8;

    /// <summary>How long an I/O command may take; 30 s unless set, <see cref="Timeout.InfiniteTimeSpan"/> for as long as the controller
    /// lives.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another time below zero.</exception>
    public TimeSpan CommandTimeout
    {
        get;
        init
        {
            Deadline.ThrowIfInvalid(value, nameof(CommandTimeout));
            field = value;
        }
    } = DefaultCommandTimeout;
}
