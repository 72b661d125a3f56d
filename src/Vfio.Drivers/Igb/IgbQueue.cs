using static Vfio.Drivers.Igb.IgbQueueRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>What starting a queue takes, transmit or receive.</summary>
/// <remarks>82576 Datasheet, sections 4.5.9 and 4.5.10.</remarks>
internal static class IgbQueue
{
    private static readonly TimeSpan EnableTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Tells the device of a ring of descriptors, empty, and enables the queue.</summary>
    /// <param name="registers">BAR0.</param>
    /// <param name="name">The device's, for messages.</param>
    /// <param name="queue">Where the queue's registers start.</param>
    /// <param name="descriptors">The ring.</param>
    /// <param name="entries">How many descriptors it has.</param>
    /// <param name="thresholds">Of the queue's descriptor control.</param>
    /// <param name="splitControl">SRRCTL of a receive queue.</param>
    /// <exception cref="VfioException">ETIMEDOUT: it stays disabled.</exception>
    internal static void Start(
        Bar registers, string name, long queue, DmaBuffer descriptors, int entries, uint thresholds, uint splitControl = 0)
    {
        Stop(registers, queue);
        registers.Write32(queue + BaseLow, (uint)descriptors.Start.Value);
        registers.Write32(queue + BaseHigh, (uint)(descriptors.Start.Value >> 32));
        registers.Write32(queue + Length, (uint)entries * IgbRegisters.DescriptorBytes);
        if (splitControl != 0)
            registers.Write32(queue + SplitControl, splitControl);
        registers.Write32(queue + Head, 0);
        registers.Write32(queue + Tail, 0);
        registers.Write32(queue + DescriptorControl, thresholds | Enable);

        // A tail that is written before the queue is enabled is lost.
        if (!registers.WaitFor32(queue + DescriptorControl, Enable, Enable, EnableTimeout))
            throw new VfioException("start of a queue", name, Errno.TimedOut, "it stays disabled");
    }

    /// <summary>Disables a queue.</summary>
    internal static void Stop(Bar registers, long queue) => registers.Write32(queue + DescriptorControl, 0);
}
