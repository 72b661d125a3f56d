using Vfio.Drivers.Ethernet;
using static Vfio.Drivers.Igb.IgbPhysicalRegisters;
using static Vfio.Drivers.Igb.IgbRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>The physical function: the whole port, with its PHY.</summary>
/// <remarks>82576 Datasheet, section 4.5.</remarks>
/// <param name="device">The function.</param>
/// <param name="registers">BAR0.</param>
/// <param name="mayChangeAddress">As <see cref="IgbOptions.VirtualFunctionsMayChangeAddress"/>.</param>
internal sealed class IgbPhysicalFunction(PciDevice device, Bar registers, bool mayChangeAddress) : IgbFunction(device, registers)
{
    private const int QueueBytes = 0x40, AllocationBytes = 4;
    private readonly IgbPhy _phy = new(device.Name, registers);
    private IgbMailboxServer? _virtual;
    private MacAddress _address;

    /// <inheritdoc/>
    internal override long ReceiveQueue => IgbPhysicalRegisters.ReceiveQueue + (QueueBytes * VirtualFunctions);

    /// <inheritdoc/>
    internal override long TransmitQueue => IgbPhysicalRegisters.TransmitQueue + (QueueBytes * VirtualFunctions);

    /// <inheritdoc/>
    internal override long QueueAllocation => VectorAllocation + (AllocationBytes * VirtualFunctions);

    /// <inheritdoc/>
    internal override int VirtualFunctions => _virtual?.Count ?? 0;

    /// <inheritdoc/>
    internal override uint SplitControl => 0;

    /// <inheritdoc/>
    internal override void Reset()
    {
        const string Operation = "reset";
        int virtualFunctions = ReadStatus(Operation).VirtualFunctions;
        if (virtualFunctions >= IgbMailboxServer.Pools)
            throw new VfioException(Operation, Name, Errno.NotSupported, $"{virtualFunctions} virtual functions leave it no queue: enable fewer");
        _virtual = virtualFunctions > 0 ? new IgbMailboxServer(Registers, virtualFunctions, mayChangeAddress) : null;
        Quiet();
        Registers.Write32(Control, Registers.Read32(Control) | IgbRegisters.Reset);

        // It may not be touched for a millisecond, then the address is read from its EEPROM.
        Thread.Sleep(TimeSpan.FromMilliseconds(1));
        if (!Registers.WaitFor32(Control, IgbRegisters.Reset, 0, ResetTimeout)
            || !Registers.WaitFor32(AddressHigh, AddressValid, AddressValid, ResetTimeout))
        {
            ReadStatus(Operation);
            throw new VfioException(Operation, Name, Errno.TimedOut, "it does not end");
        }

        MaskInterrupts();
        for (int i = 0; i < MulticastEntries; i++)
            Registers.Write32(MulticastTable + (4 * i), 0);
    }

    /// <inheritdoc/>
    internal override MacAddress Adopt(MacAddress? wanted)
    {
        if (wanted is { } address)
        {
            Registers.Write32(AddressLow, IgbAddress.Low(address));
            Registers.Write32(AddressHigh, IgbAddress.High(address) | AddressValid);
        }

        _address = IgbAddress.Read(Registers.Read32(AddressLow), Registers.Read32(AddressHigh));
        return _address;
    }

    /// <inheritdoc/>
    internal override void Enable()
    {
        uint control = Registers.Read32(Control) & ~(ForceSpeedAndDuplex | MasterDisable);
        Registers.Write32(Control, control | SetLinkUp);
        uint extended = Registers.Read32(ExtendedControl);
        if ((extended & LinkMode) != 0)
            throw new VfioException("start of the link", Name, Errno.NotSupported, "its medium is not copper");
        Registers.Write32(ExtendedControl, extended | DriverLoaded);
        if (_virtual is null)
            Registers.Write32(MultipleQueues, 0);
        else
            _virtual.Start(_address);
        if (!IsLinkUp)
            _phy.RestartAutonegotiation();
        Registers.Write32(TransmitControl, Transmit);
        Registers.Write32(ReceiveControl, Receive);
    }

    /// <inheritdoc/>
    internal override void SetPromiscuous(bool value)
    {
        _virtual?.SetPromiscuous(value);
        Registers.Write32(ReceiveControl, value ? Receive | Promiscuous : Receive);
    }

    /// <inheritdoc/>
    internal override int Serve() => _virtual?.Serve() ?? 0;

    /// <inheritdoc/>
    internal override void EnableInterrupts(TimeSpan interval)
    {
        // First, for the other registers mean something else until then.
        Registers.Write32(InterruptEnable, MessagePerCause);
        base.EnableInterrupts(interval);
    }

    /// <inheritdoc/>
    internal override void Stop()
    {
        base.Stop();
        Quiet();
        Registers.Write32(ExtendedControl, Registers.Read32(ExtendedControl) & ~DriverLoaded);
    }

    private void MaskInterrupts()
    {
        Registers.Write32(LegacyMaskClear, uint.MaxValue);
        Registers.Write32(InterruptMaskClear, uint.MaxValue);
        Registers.Read32(LegacyCause);
    }

    // A reset while a request is under way could hang the bus: section 5.2.3.3.
    private void Quiet()
    {
        MaskInterrupts();
        Registers.Write32(ReceiveControl, 0);
        Registers.Write32(TransmitControl, 0);
        Registers.Write32(Control, Registers.Read32(Control) | MasterDisable);
        SpinWait.SpinUntil(() => !ReadStatus("stop").IsBusMaster, ResetTimeout);
    }
}
