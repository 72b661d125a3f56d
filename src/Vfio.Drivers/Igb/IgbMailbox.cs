using static Vfio.Drivers.Igb.IgbVirtualRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>The virtual function's way to talk with whoever drives the physical one: messages of dwords, each with a reply.</summary>
/// <remarks>82576 Datasheet, section 7.10.2.9.1. Bits that are cleared when read are kept until they are asked for.</remarks>
internal sealed class IgbMailbox(string name, Bar registers)
{
    private const uint ClearedWhenRead = PhysicalWrote | PhysicalRead | PhysicalResetDone;
    private static readonly TimeSpan ReplyTimeout = TimeSpan.FromSeconds(2);
    private uint _kept;

    /// <summary>Whether the physical function is being reset, or has been since this was asked last.</summary>
    internal bool WasReset() => IsSet(PhysicalResets | PhysicalResetDone);

    /// <summary>Waits until the physical function is out of reset.</summary>
    /// <exception cref="VfioException">ETIMEDOUT: it stays there; nobody drives it.</exception>
    internal void AwaitPhysicalFunction()
    {
        if (!SpinWait.SpinUntil(() => (ReadBits() & PhysicalResets) == 0, ReplyTimeout))
            throw Silent("reset of the virtual function");
        _kept &= ~PhysicalResetDone;
    }

    /// <summary>Sends a message and waits for its reply.</summary>
    /// <param name="operation">For messages.</param>
    /// <param name="message">Up to 16 dwords; the reply replaces them.</param>
    /// <returns>Whether the physical function did it; false when it refused.</returns>
    /// <exception cref="VfioException">ETIMEDOUT: it does not answer.</exception>
    internal bool Ask(string operation, Span<uint> message)
    {
        uint asked = message[0] & MessageMask;
        Own(operation);
        _ = IsSet(PhysicalRead | PhysicalWrote);
        for (int i = 0; i < message.Length; i++)
            registers.Write32(MailboxMemory + (4 * i), message[i]);
        registers.Write32(Mailbox, Request);
        if (!SpinWait.SpinUntil(() => IsSet(PhysicalRead), ReplyTimeout))
            throw Silent(operation);
        do
        {
            if (!SpinWait.SpinUntil(() => IsSet(PhysicalWrote), ReplyTimeout))
                throw Silent(operation);
            Own(operation);
            for (int i = 0; i < message.Length; i++)
                message[i] = registers.Read32(MailboxMemory + (4 * i));
            registers.Write32(Mailbox, Acknowledge);
        }
        while ((message[0] & MessageMask) == ControlMessage && asked != ControlMessage);
        return (message[0] & Refused) == 0 && (message[0] & MessageMask) == asked;
    }

    private bool IsSet(uint bits)
    {
        bool isSet = (ReadBits() & bits) != 0;
        _kept &= ~bits;
        return isSet;
    }

    private uint ReadBits()
    {
        uint value = registers.Read32(Mailbox);
        if (value == uint.MaxValue)
            throw new VfioException("use of the mailbox", name, Errno.NoDevice, "its registers read as all ones: it was removed");
        value |= _kept;
        _kept = value & ClearedWhenRead;
        return value;
    }

    private void Own(string operation)
    {
        bool owned = SpinWait.SpinUntil(
            () =>
            {
                registers.Write32(Mailbox, VirtualOwns);
                return (ReadBits() & VirtualOwns) != 0;
            },
            ReplyTimeout);
        if (!owned)
            throw Silent(operation);
    }

    private VfioException Silent(string operation) => new(
        operation, name, Errno.TimedOut, "the physical function does not answer: its driver has to be there, and its interface up");
}
