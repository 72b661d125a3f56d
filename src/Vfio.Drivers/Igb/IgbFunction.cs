using Vfio.Drivers.Ethernet;
using Vfio.Native;
using Vfio.Native.Waiting;
using static Vfio.Drivers.Igb.IgbRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>What the physical and the virtual function of an 82576 do each in its own way.</summary>
/// <remarks>One thread at a time.</remarks>
internal abstract class IgbFunction(PciDevice device, Bar registers) : ILiveness
{
    /// <summary>How long a reset may take.</summary>
    protected static readonly TimeSpan ResetTimeout = TimeSpan.FromSeconds(1);

    /// <summary>For messages.</summary>
    internal string Name => device.Name;

    /// <summary>BAR0.</summary>
    internal Bar Registers => registers;

    /// <summary>Where the registers of receive queue 0 start.</summary>
    internal abstract long ReceiveQueue { get; }

    /// <summary>Where the registers of transmit queue 0 start.</summary>
    internal abstract long TransmitQueue { get; }

    /// <summary>Where the vector of its receive queue is.</summary>
    internal virtual long QueueAllocation => VectorAllocation;

    /// <summary>How many virtual functions it has.</summary>
    internal virtual int VirtualFunctions => 0;

    /// <summary>More of SRRCTL.</summary>
    internal abstract uint SplitControl { get; }

    /// <summary>Whether there is a link now.</summary>
    internal bool IsLinkUp => new IgbStatus(registers.Read32(Status)).IsLinkUp;

    /// <summary>Brings the registers to where they are after power-on: no queue, no interrupt, no DMA.</summary>
    /// <exception cref="VfioException">ENODEV: it is gone; ETIMEDOUT: the reset does not end.</exception>
    internal abstract void Reset();

    /// <summary>Decides on the station's address, after the reset.</summary>
    /// <param name="wanted">Null for the one that the function brings.</param>
    /// <exception cref="VfioException">EPERM: it may not be changed.</exception>
    internal abstract MacAddress Adopt(MacAddress? wanted);

    /// <summary>Lets frames in and out, when the rings are there.</summary>
    internal abstract void Enable();

    /// <summary>Receives frames to all stations, or to its own and to all.</summary>
    /// <exception cref="VfioException">EPERM: it may not.</exception>
    internal abstract void SetPromiscuous(bool value);

    /// <summary>Answers what virtual functions asked.</summary>
    /// <returns>How many messages.</returns>
    internal virtual int Serve() => 0;

    /// <summary>Lets received frames raise vector 0, masked until <see cref="Arm"/>.</summary>
    /// <param name="interval">Shortest time between two interrupts.</param>
    internal virtual void EnableInterrupts(TimeSpan interval)
    {
        registers.Write32(QueueAllocation, ReceiveRaisesVector0);
        registers.Write32(InterruptThrottle, ThrottleKeepsCounter | (uint)interval.TotalMicroseconds << 2);
        registers.Write32(InterruptAutoClear, Vector0);
        registers.Write32(InterruptAutoMask, Vector0);
    }

    /// <summary>Lets vector 0 be raised once.</summary>
    internal void Arm() => registers.Write32(InterruptMaskSet, Vector0);

    /// <summary>Looks whether the function still is what it was when it was opened.</summary>
    /// <remarks>By its receive queue, which only this driver stops. Where a function is gone, some machines read ones and others zeros.
    /// </remarks>
    /// <exception cref="VfioException">ENODEV: it is gone; ECONNRESET: it was reset from elsewhere.</exception>
    public virtual void ThrowIfDead(string operation)
    {
        uint control = registers.Read32(ReceiveQueue + IgbQueueRegisters.DescriptorControl);
        bool isAnswered = control != uint.MaxValue;
        if (isAnswered && (control & IgbQueueRegisters.Enable) != 0)
            return;
        throw isAnswered && device.IsPresent
            ? new VfioException(operation, Name, Errno.ConnectionReset, "somebody reset it; open the port again")
            : Gone(operation);
    }

    /// <summary>Stops DMA and interrupts.</summary>
    internal virtual void Stop()
    {
        registers.Write32(InterruptMaskClear, uint.MaxValue);
        IgbQueue.Stop(registers, ReceiveQueue);
        IgbQueue.Stop(registers, TransmitQueue);
    }

    /// <summary>Reads STATUS.</summary>
    /// <exception cref="VfioException">ENODEV: it is gone.</exception>
    protected IgbStatus ReadStatus(string operation)
    {
        IgbStatus status = new(registers.Read32(Status));
        return !status.IsGone ? status : throw Gone(operation);
    }

    private VfioException Gone(string operation) => new(operation, Name, Errno.NoDevice, "it was removed, or lost power");
}
