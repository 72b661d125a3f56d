using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>What one function has of the port: its queues, the threads that serve them, and the frames that wait for it.</summary>
/// <remarks>82576 Datasheet, section 7.10: virtual function n has queues n and n + 8, the physical one all others. Any thread.</remarks>
internal sealed class IgbPool
{
    private readonly IgbCore _core;
    private readonly Action _abandon;
    private readonly Lock _lock = new();
    private volatile IgbReceiveWork? _receive;
    private volatile IgbTransmitWork? _transmit;
    private volatile IgbTimerWork? _timer;
    private uint _causes;

    /// <summary>Makes the share of a function.</summary>
    /// <param name="core">The port.</param>
    /// <param name="function">The function.</param>
    /// <param name="interrupts">Its interrupt logic.</param>
    /// <param name="queues">Its queues, one bit each.</param>
    /// <param name="abandon">Abandons its threads.</param>
    internal IgbPool(IgbCore core, EmulatedFunction function, IIgbInterrupts interrupts, uint queues, Action abandon)
    {
        _core = core;
        _abandon = abandon;
        Function = function;
        Interrupts = interrupts;
        Queues = queues;
    }

    internal EmulatedFunction Function { get; }

    internal IIgbInterrupts Interrupts { get; }

    /// <summary>Its queues, one bit each.</summary>
    internal uint Queues { get; }

    /// <summary>Counts frames for it; null for the physical function, whose statistics are the port's.</summary>
    internal IgbVirtualStatistics? Statistics { get; init; }

    internal IgbInbox Inbox { get; } = new();

    /// <summary>A frame with its tag and padding, on its way out; the transmit work's.</summary>
    internal byte[] Leaving { get; } = new byte[IgbCore.LongestFrame + IgbPacket.VlanBytes];

    /// <summary>Whether its threads have nothing to do.</summary>
    internal bool IsAtRest => _receive is not { IsAtRest: false } && _transmit is not { IsAtRest: false };

    /// <summary>Whether requests on the bus are allowed.</summary>
    internal bool MayMaster => Statistics is not null || _core.MayMaster;

    /// <summary>Ends what its threads do.</summary>
    internal void Abandon() => _abandon();

    /// <summary>Ends what its threads do, and makes new ones.</summary>
    internal void Restart()
    {
        lock (_lock)
        {
            _abandon();
            Inbox.Clear();
            Interrupts.Reset();

            // A change of the link is told all the same; what virtual functions said before is over.
            Interlocked.And(ref _causes, IgbInterrupts.LinkChange);
            _receive = new IgbReceiveWork(_core, this);
            _transmit = new IgbTransmitWork(_core, this);
            _timer = new IgbTimerWork(this);
        }
    }

    internal void WakeReceive() => _receive?.Wake();

    internal void WakeTransmit() => _transmit?.Wake();

    internal void RestartReceive(int queue)
    {
        _receive?.Restart(queue);
        WakeReceive();
    }

    internal void RestartTransmit(int queue)
    {
        _transmit?.Restart(queue);
        WakeTransmit();
    }

    /// <summary>Has the timer look, when an interrupt waits for its time.</summary>
    internal void WakeForDue()
    {
        if (Interrupts.HasDue)
            _timer?.Wake();
    }

    /// <summary>Raises causes soon, by a thread of this function: another function's thread must not interrupt for it, for a reset could not
    /// wait for that.</summary>
    internal void Notify(uint causes)
    {
        Interlocked.Or(ref _causes, causes);
        _timer?.Wake();
    }

    /// <summary>The causes since this was asked last.</summary>
    internal uint TakeCauses() => Interlocked.Exchange(ref _causes, 0);
}
