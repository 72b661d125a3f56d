namespace Vfio.Devices.Igb;

/// <summary>The mailboxes between the physical function and its virtual ones: who has the memory of each, and what was told.</summary>
/// <remarks>82576 Datasheet, section 7.10.2.9.1. What messages mean is a matter of the drivers, who may lie: nothing here depends on it.
/// Any thread. A message raises an interrupt by a thread of the other function, however often it is sent.</remarks>
internal sealed class IgbMailboxes(IgbCore core, int count)
{
    // Of PFMailbox.
    private const uint PhysicalWrote = 1, PhysicalRead = 2, RevokesVirtual = 0x10;

    // Of V2PMailbox.
    private const uint VirtualWrote = 1, VirtualRead = 2, WasWritten = 0x10, WasRead = 0x20, Resets = 0x40, ResetDone = 0x80;
    private const uint ClearedWhenRead = WasWritten | WasRead | ResetDone;

    // Of both.
    private const uint VirtualOwns = 4, PhysicalOwns = 8, Owners = VirtualOwns | PhysicalOwns;

    // Of MBVFICR: VFREQ from bit 0 on, VFACK from bit 16 on.
    private const int ReadShift = 16;

    private readonly Lock _lock = new();
    private readonly uint[] _states = new uint[count];

    /// <summary>The physical function is reset: it has no mailbox until it says that it is back.</summary>
    internal void Reset()
    {
        lock (_lock)
            _states.AsSpan().Fill(Resets);
    }

    /// <summary>CTRL_EXT.PFRSTD: the physical function is back.</summary>
    internal void EndReset()
    {
        lock (_lock)
        {
            foreach (ref uint state in _states.AsSpan())
                state = (state & ~Resets) | ResetDone;
        }
    }

    /// <summary>A virtual function is reset: it has the memory no more, and its next user finds nothing of what the last one was told.</summary>
    internal void ResetVirtual(int number)
    {
        lock (_lock)
        {
            _states[number] &= PhysicalOwns | Resets;
            core.Registers.Clear(IgbRegister.MailboxCause, CausesOf(number));
            for (int i = 0; i < IgbVirtualRegisters.MailboxDwords; i++)
                core.Registers[IgbRegister.MailboxMemory, (IgbVirtualRegisters.MailboxDwords * number) + i] = 0;
        }
    }

    /// <summary>What PFMailbox reads as; that of a virtual function that is not there as 0.</summary>
    internal uint ReadPhysical(int number)
    {
        lock (_lock)
            return number < count ? _states[number] & Owners : 0;
    }

    /// <summary>A write of PFMailbox.</summary>
    internal void WritePhysical(int number, uint value)
    {
        if (number >= count)
            return;
        lock (_lock)
        {
            ref uint state = ref _states[number];
            state |= ((value & PhysicalWrote) != 0 ? WasWritten : 0) | ((value & PhysicalRead) != 0 ? WasRead : 0);
            if ((value & PhysicalOwns) == 0)
                state &= ~PhysicalOwns;
            else if ((state & VirtualOwns) == 0)
                state |= PhysicalOwns;
            if ((value & RevokesVirtual) != 0)
            {
                state &= ~VirtualOwns;
                core.Registers.Clear(IgbRegister.MailboxCause, CausesOf(number));
            }
        }

        if ((value & (PhysicalWrote | PhysicalRead)) != 0)
            core.VirtualPools[number].Notify(IgbInterrupts.Mailbox);
    }

    /// <summary>A read of V2PMailbox, which clears what it told.</summary>
    internal uint ReadVirtual(int number)
    {
        lock (_lock)
        {
            uint value = _states[number];
            _states[number] = value & ~ClearedWhenRead;
            return value;
        }
    }

    /// <summary>A write of V2PMailbox.</summary>
    internal void WriteVirtual(int number, uint value)
    {
        uint causes = ((value & VirtualWrote) != 0 ? 1u << number : 0) | ((value & VirtualRead) != 0 ? 1u << (number + ReadShift) : 0);
        lock (_lock)
        {
            ref uint state = ref _states[number];
            if ((value & VirtualOwns) == 0)
                state &= ~VirtualOwns;
            else if ((state & PhysicalOwns) == 0)
                state |= VirtualOwns;
            if (causes != 0)
                core.Registers.Set(IgbRegister.MailboxCause, causes);
        }

        if (causes != 0 && (core.Registers[IgbRegister.MailboxMask] >> number & 1) != 0)
            core.Own.Notify(IgbInterrupts.Mailbox);
    }

    private static uint CausesOf(int number) => 1u << number | 1u << (number + ReadShift);
}
