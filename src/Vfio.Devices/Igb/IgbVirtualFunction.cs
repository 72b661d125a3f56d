using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>A virtual function of the 82576: two queues each way, three vectors, and a mailbox to whoever drives the physical one.</summary>
/// <remarks>82576 Datasheet, sections 7.10 and 8.28. Its queues reach the memory of its own user only. A reset of it ends its threads and no
/// others.</remarks>
internal sealed class IgbVirtualFunction : EmulatedFunction
{
    /// <summary>Its device id.</summary>
    internal const ushort Id = 0x10ca;

    private const uint DeviceReset = 1u << 26;
    private readonly IgbCore _core;
    private readonly int _number;
    private readonly RegisterFile<IgbVirtualRegister> _registers = new(IgbVirtualRegisters.Map);
    private readonly IgbVirtualInterrupts _interrupts;
    private readonly TimeProvider _clock;
    private readonly long _start;

    internal IgbVirtualFunction(IgbCore core, int number, FunctionDescription physical, TimeProvider clock)
        : base(new FunctionDescription("igbvf", physical.VendorId, Id)
        {
            RevisionId = physical.RevisionId,
            ClassCode = physical.ClassCode,
            SubsystemVendorId = physical.SubsystemVendorId,
            SubsystemId = physical.SubsystemId,
            Msix = new MsixDescription(IgbVirtualRegisters.Vectors, Bar: 3, TableOffset: 0, PendingOffset: 0x2000),
            IsExpress = true,
            HasFlr = true,
            VirtualIds = new VirtualFunctionIds(physical.VendorId, Id),
        })
    {
        _core = core;
        _number = number;
        _clock = clock;
        _start = clock.GetTimestamp();
        _interrupts = new IgbVirtualInterrupts(_registers, number, clock);
        Pool = new IgbPool(core, this, _interrupts, (1u | 1u << IgbRegisters.Pools) << number, AbandonWork)
        {
            Statistics = new IgbVirtualStatistics(_registers),
        };
        Connect();
        AddBar(0, _registers, BarType.Memory64);
    }

    /// <summary>What it has of the port.</summary>
    internal IgbPool Pool { get; }

    /// <inheritdoc/>
    protected override void OnReset() => _core.ResetVirtual(_number);

    private void Connect()
    {
        _registers.OnWrite(IgbVirtualRegister.Control, Control);
        _registers.OnRead(IgbVirtualRegister.Status, _ => _core.LinkStatus);
        _registers.OnRead(IgbVirtualRegister.Timer, _ => (uint)_clock.GetElapsedTime(_start).TotalMicroseconds);
        _registers.OnRead(IgbVirtualRegister.Mailbox, _ => _core.Mailboxes.ReadVirtual(_number));
        _registers.OnWrite(IgbVirtualRegister.Mailbox, value => _core.Mailboxes.WriteVirtual(_number, (uint)value));
        _registers.OnRead(IgbVirtualRegister.VectorCause, _ => _interrupts.ReadVectors());
        _registers.OnWrite(IgbVirtualRegister.VectorCause, value => _interrupts.ClearVectors((uint)value));
        _registers.OnWrite(IgbVirtualRegister.VectorCauseSet, value => Send(_interrupts.RaiseVectors((uint)value)));
        _registers.OnRead(IgbVirtualRegister.VectorMaskSet, _ => _interrupts.ReadMask());
        _registers.OnRead(IgbVirtualRegister.VectorMaskClear, _ => _interrupts.ReadMask());
        _registers.OnWrite(IgbVirtualRegister.VectorMaskSet, value => Send(_interrupts.Unmask((uint)value)));
        _registers.OnWrite(IgbVirtualRegister.VectorMaskClear, value => _interrupts.Mask((uint)value));
        _registers.Forward(
            IgbVirtualRegister.MailboxMemory, _core.Registers, IgbRegister.MailboxMemory, index => (IgbVirtualRegisters.MailboxDwords * _number) + index);
        _registers.Forward(IgbVirtualRegister.SplitType, _core.Registers, IgbRegister.SplitType, _ => _number);

        // Its queue 0 is the port's of its own number, queue 1 is that + 8.
        foreach ((IgbVirtualRegister own, IgbRegister port) in IgbVirtualRegisters.OfQueues)
            _registers.Forward(own, _core.Registers, port, queue => _number + (IgbRegisters.Pools * queue));
    }

    private void Control(ulong value)
    {
        if ((value & DeviceReset) == 0)
            return;
        AbandonWork();
        _registers.Reset();
        _core.ResetVirtual(_number);
    }

    private void Send(uint vectors)
    {
        InterruptEach(vectors);
        Pool.WakeForDue();
    }
}
