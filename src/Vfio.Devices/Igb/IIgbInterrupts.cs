namespace Vfio.Devices.Igb;

/// <summary>The interrupt logic of a function, physical or virtual, as its threads use it.</summary>
/// <remarks>Any thread. A method returns the vectors to send, one bit each: the caller sends them, without a lock.</remarks>
internal interface IIgbInterrupts
{
    /// <summary>Whether an interrupt waits for its time.</summary>
    bool HasDue { get; }

    /// <summary>Raises what queues have done: one bit for each queue that received, or that sent, by its number in the port.</summary>
    uint RaiseQueues(uint received, uint sent);

    /// <summary>Raises causes of ICR. A virtual function has one cause beside its queues, its mailbox.</summary>
    uint Raise(uint causes);

    /// <summary>Sends interrupts that had to wait.</summary>
    /// <param name="wait">How long until the next one may be sent; null when none waits.</param>
    uint SendDue(out TimeSpan? wait);

    /// <summary>Forgets all causes and masks.</summary>
    void Reset();
}
