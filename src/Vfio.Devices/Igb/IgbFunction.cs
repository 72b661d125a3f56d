using System.Buffers.Binary;
using Vfio.Devices.Network;
using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>Intel's 82576, one port with copper: registers, NVM, PHY and interrupts in front of the work that sends and receives.</summary>
/// <remarks>
/// <para>Intel 82576 Gigabit Ethernet Controller Datasheet. BAR0 has the registers, BAR2 the same through two I/O ports, BAR3 the MSI-X
/// table. There is no flash.</para>
/// <para>Sending, receiving and delayed interrupts have a thread each. A reset, of the function or by CTRL.RST, abandons them.</para>
/// </remarks>
public sealed class IgbFunction : EmulatedFunction, IPhysicalFunction
{
    private const uint DeviceReset = 1u << 26, PhyReset = 1u << 31, SetLinkUp = 1u << 6;
    private const uint PhyWasReset = 1u << 10, QueueEnable = 1u << 25, VirtualResetDone = 1u << 14, AddressValid = 1u << 31, SemaphoreTaken = 1;
    private readonly IgbCore _core;
    private readonly IgbNvm _nvm;
    private readonly byte[] _address;
    private readonly TimeProvider _clock;
    private long _clockStart;
    private uint _timeHigh;
    private ulong _lastControl;

    internal IgbFunction(NetBackend network, ReadOnlySpan<byte> address, TimeProvider? clock = null, int virtualFunctions = 0)
        : base(new FunctionDescription("igb", VendorId: 0x8086, DeviceId: 0x10c9)
        {
            RevisionId = 0x01,
            ClassCode = 0x020000,
            SubsystemVendorId = 0x8086,
            SubsystemId = 0xa03c,
            InterruptPin = 1,
            MsiVectors = 1,
            MsiHasMasks = true,
            Msix = new MsixDescription(IgbRegisters.Vectors, Bar: 3, TableOffset: 0, PendingOffset: 0x2000),
            PowerManagement = PowerManagementKind.SoftReset,
            IsExpress = true,
            HasFlr = true,
            Capabilities = virtualFunctions > 0 ? IgbCapabilities.Of(address, virtualFunctions) : [],
        })
    {
        _clock = clock ?? TimeProvider.System;
        _address = address.ToArray();
        _nvm = new IgbNvm(address, Description);
        _core = new IgbCore(this, network, _clock, virtualFunctions, AbandonWork);
        Connect(_core.Registers);
        AddBar(0, _core.Registers);
        AddBar(2, new IgbPorts(_core.Registers), BarType.Io);
        ResetRegisters();
        network.Attach(_core);
    }

    /// <summary>Makes a port.</summary>
    /// <param name="network">What is at the other end of its cable, as in <c>model:igb?net=</c>: <c>none</c>, <c>loop</c>,
    /// <c>hub:NAME</c> and others.</param>
    /// <param name="address">Its station address, <c>02:00:00:00:00:01</c>; null for one that no other port of this machine has.</param>
    /// <param name="virtualFunctions">How many virtual functions it has, 0 to 8: each with its queues, and a mailbox to the driver of this
    /// one.</param>
    /// <exception cref="VfioException">EINVAL: no such network, no station's address, or no such number of functions; else why it cannot be
    /// had.</exception>
    public static IgbFunction Create(string network = "none", string? address = null, int virtualFunctions = 0) =>
        IgbModel.Create("igb", network, address, virtualFunctions);

    /// <inheritdoc/>
    public IReadOnlyList<IPciFunction> VirtualFunctions => _core.VirtualFunctions;

    /// <summary>Waits until there is nothing to do for its threads.</summary>
    internal bool AwaitWork(TimeSpan timeout) => _core.AwaitWork(timeout);

    /// <inheritdoc/>
    public override Errno Reset(ResetMethod method)
    {
        // Before its registers are reset, of which theirs are a part.
        _core.AbandonVirtual();
        return base.Reset(method);
    }

    /// <inheritdoc/>
    protected override void OnReset()
    {
        _core.Phy.ResetAll();
        _core.Registers.Reset();
        ResetRegisters();
        EndInterrupt();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        try
        {
            if (disposing)
                _core.Network.Dispose();
        }
        finally
        {
            base.Dispose(disposing);
        }
    }

    private void ResetRegisters()
    {
        RegisterFile<IgbRegister> registers = _core.Registers;
        _core.AbandonVirtual();

        // Whoever has the semaphores keeps them.
        ulong semaphore = registers[IgbRegister.SoftwareSemaphore];
        ulong held = registers[IgbRegister.SoftwareFirmwareSync];
        registers.Reset();
        registers[IgbRegister.SoftwareSemaphore] = semaphore;
        registers[IgbRegister.SoftwareFirmwareSync] = held;

        // What the NVM brings: the station's address. Queue 0 is enabled.
        registers[IgbRegister.AddressLow] = BinaryPrimitives.ReadUInt32LittleEndian(_address);
        registers[IgbRegister.AddressHigh] = BinaryPrimitives.ReadUInt16LittleEndian(_address.AsSpan(4)) | AddressValid;
        registers[IgbRegister.ReceiveDescriptors] |= QueueEnable;
        registers[IgbRegister.TransmitDescriptors] |= QueueEnable;
        _lastControl = 0;
        _clockStart = _clock.GetTimestamp();
        _timeHigh = 0;
        _core.Restart();
    }

    private void Connect(RegisterFile<IgbRegister> registers)
    {
        registers.OnWrite(IgbRegister.Control, Control);
        registers.OnRead(IgbRegister.Status, ReadStatus);
        registers.OnWrite(IgbRegister.Status, WriteStatus);
        registers.OnRead(IgbRegister.NvmControl, kept => IgbNvm.Control((uint)kept));
        registers.OnWrite(IgbRegister.NvmRead, value => registers[IgbRegister.NvmRead] = _nvm.Read((uint)value));
        registers.OnWrite(IgbRegister.MdiControl, AccessPhy);

        // A read of 0 takes it: section 8.7.1.
        registers.OnRead(IgbRegister.SoftwareSemaphore, _ => registers.Set(IgbRegister.SoftwareSemaphore, SemaphoreTaken));
        ConnectInterrupts(registers, _core.Interrupts);
        ConnectQueues(registers);
        if (VirtualFunctions.Count > 0)
            ConnectVirtual(registers);

        // A read of the low word keeps the high one for the read that follows; a write of the high one sets the clock.
        registers.OnRead(IgbRegister.SystemTimeLow, _ =>
        {
            ulong time = SystemTime();
            _timeHigh = (uint)(time >> 32);
            return (uint)time;
        });
        registers.OnRead(IgbRegister.SystemTimeHigh, _ => _timeHigh);
        registers.OnWrite(IgbRegister.SystemTimeHigh, value =>
        {
            _clockStart = _clock.GetTimestamp();
            _timeHigh = (uint)value;
        });
    }

    private void ConnectInterrupts(RegisterFile<IgbRegister> registers, IgbInterrupts interrupts)
    {
        registers.OnRead(IgbRegister.InterruptCause, _ => Settle(interrupts.ReadCauses()));
        registers.OnWrite(IgbRegister.InterruptCause, value =>
        {
            interrupts.ClearCauses((uint)value);
            SettlePin();
        });
        registers.OnWrite(IgbRegister.InterruptCauseSet, value => Send(interrupts.Raise((uint)value & IgbInterrupts.MaskableCauses)));
        registers.OnRead(IgbRegister.InterruptMaskSet, _ => interrupts.ReadMask());
        registers.OnWrite(IgbRegister.InterruptMaskSet, value => Send(interrupts.Unmask((uint)value)));
        registers.OnWrite(IgbRegister.InterruptMaskClear, value =>
        {
            interrupts.Mask((uint)value);
            SettlePin();
        });
        registers.OnRead(IgbRegister.VectorCause, _ => Settle(interrupts.ReadVectors()));
        registers.OnWrite(IgbRegister.VectorCause, value =>
        {
            interrupts.ClearVectors((uint)value);
            SettlePin();
        });
        registers.OnWrite(IgbRegister.VectorCauseSet, value => Send(interrupts.RaiseVectors((uint)value)));
        registers.OnRead(IgbRegister.VectorMaskSet, _ => interrupts.ReadVectorMask());
        registers.OnRead(IgbRegister.VectorMaskClear, _ => interrupts.ReadVectorMask());
        registers.OnWrite(IgbRegister.VectorMaskSet, value => Send(interrupts.UnmaskVectors((uint)value)));
        registers.OnWrite(IgbRegister.VectorMaskClear, value =>
        {
            interrupts.MaskVectors((uint)value);
            SettlePin();
        });
        registers.OnWrite(IgbRegister.InterruptEnable, _ => SettlePin());
    }

    private void ConnectQueues(RegisterFile<IgbRegister> registers)
    {
        registers.OnWrite(IgbRegister.ReceiveControl, _ => _core.WakeReceive());
        registers.OnWrite(IgbRegister.TransmitControl, _ => _core.WakeTransmit());
        registers.OnWrite(IgbRegister.ReceiveTail, (queue, _) => _core.OwnerOf(queue).WakeReceive());
        registers.OnWrite(IgbRegister.TransmitTail, (queue, _) => _core.OwnerOf(queue).WakeTransmit());
        foreach (IgbRegister register in (ReadOnlySpan<IgbRegister>)[
            IgbRegister.ReceiveBaseLow, IgbRegister.ReceiveBaseHigh, IgbRegister.ReceiveLength, IgbRegister.ReceiveHead,
            IgbRegister.ReceiveDescriptors])
        {
            registers.OnWrite(register, (queue, _) => _core.OwnerOf(queue).RestartReceive(queue));
        }

        foreach (IgbRegister register in (ReadOnlySpan<IgbRegister>)[
            IgbRegister.TransmitBaseLow, IgbRegister.TransmitBaseHigh, IgbRegister.TransmitLength, IgbRegister.TransmitHead,
            IgbRegister.TransmitDescriptors])
        {
            registers.OnWrite(register, (queue, _) => _core.OwnerOf(queue).RestartTransmit(queue));
        }
    }

    private void ConnectVirtual(RegisterFile<IgbRegister> registers)
    {
        registers.OnRead(IgbRegister.Mailbox, (number, _) => _core.Mailboxes.ReadPhysical(number));
        registers.OnWrite(IgbRegister.Mailbox, (number, value) => _core.Mailboxes.WritePhysical(number, (uint)value));
        registers.OnWrite(IgbRegister.ExtendedControl, value =>
        {
            if ((value & VirtualResetDone) != 0)
                _core.Mailboxes.EndReset();
        });
        registers.OnWrite(IgbRegister.PoolTransmit, _ => _core.WakeTransmit());
        registers.OnWrite(IgbRegister.MultipleQueues, _ => _core.WakeTransmit());
    }

    private void Control(ulong value)
    {
        RegisterFile<IgbRegister> registers = _core.Registers;
        if ((value & DeviceReset) != 0)
        {
            AbandonWork();
            ResetRegisters();
            EndInterrupt();
            return;
        }

        if ((value & PhyReset) != 0)
        {
            registers.Clear(IgbRegister.Control, PhyReset);
            _core.Phy.ResetAll();
            registers.Set(IgbRegister.Status, PhyWasReset);
            _core.LinkChanged();
        }

        if (((value ^ _lastControl) & SetLinkUp) != 0)
            _core.LinkChanged();
        _lastControl = value;
        _core.WakeReceive();
        _core.WakeTransmit();
    }

    private ulong ReadStatus(ulong kept)
    {
        const uint VirtualMode = 1u << 18, Master = 1u << 19;
        const uint PhysicalResetDone = 1u << 21, ClockGating = 1u << 31;
        const int VirtualCountShift = 14;
        return (kept & PhyWasReset) | _core.LinkStatus | PhysicalResetDone | ClockGating
            | (_core.IsMaster ? Master : 0)
            | (VirtualFunctions.Count > 0 ? VirtualMode | (uint)VirtualFunctions.Count << VirtualCountShift : 0);
    }

    private void WriteStatus(ulong value)
    {
        if ((value & PhyWasReset) == 0)
            _core.Registers.Clear(IgbRegister.Status, PhyWasReset);
    }

    private void AccessPhy(ulong value)
    {
        bool wasUp = _core.IsLinkUp;
        _core.Registers[IgbRegister.MdiControl] = _core.Phy.Do((uint)value, _core.IsCableUp, out bool isRestarted);
        if (isRestarted || _core.IsLinkUp != wasUp)
            _core.LinkChanged();
        if (IgbPhy.WantsInterrupt((uint)value))
            Send(_core.Interrupts.Raise(IgbInterrupts.MdiDone));
    }

    // TIMINCA: every 16 ns times its bits 31:24 the clock goes on by its bits 23:0; section 8.16.
    private ulong SystemTime()
    {
        RegisterFile<IgbRegister> registers = _core.Registers;
        ulong start = registers[IgbRegister.SystemTimeHigh] << 32 | registers[IgbRegister.SystemTimeLow];
        ulong period = registers[IgbRegister.TimeIncrement] >> 24;
        if (period == 0)
            return start;
        ulong periods = (ulong)_clock.GetElapsedTime(_clockStart).TotalNanoseconds / (16 * period);
        return start + (periods * (registers[IgbRegister.TimeIncrement] & 0xff_ffff));
    }

    private void Send(uint vectors)
    {
        InterruptEach(vectors);
        _core.Own.WakeForDue();
    }

    private ulong Settle(uint value)
    {
        SettlePin();
        return value;
    }

    // With GPIE.Multiple_MSIX and no messages enabled, each vector raises the pin, and what a driver reads or masks lowers it.
    // A worker that raises meanwhile may come before or after: whoever is last leaves the pin as the registers say.
    private void SettlePin()
    {
        if (_core.Interrupts.IsPinUp)
            return;
        EndInterrupt();
        if (_core.Interrupts.IsPinUp)
            Interrupt();
    }
}
