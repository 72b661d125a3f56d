using System.Numerics;
using Vfio.Drivers.Ethernet;
using static Vfio.Drivers.Igb.IgbPhysicalRegisters;
using static Vfio.Drivers.Igb.IgbVirtualRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>The physical function's part of its virtual functions: the switch between them, and answers to what they ask.</summary>
/// <remarks>
/// <para>82576 Datasheet, sections 4.5.11 and 7.10. Messages are those of the igb driver of Linux. A virtual function may be anybody's:
/// nothing that it says decides on more than what it receives itself, and one that keeps its mailbox waits for its own answer.</para>
/// <para>One thread at a time, which may be another than the port's.</para>
/// </remarks>
/// <param name="registers">BAR0.</param>
/// <param name="count">How many virtual functions there are, below <see cref="Pools"/>.</param>
internal sealed class IgbMailboxServer(Bar registers, int count)
{
    /// <summary>How many pools the switch has; the physical function has the first that is no virtual one's.</summary>
    internal const int Pools = 8;

    // Of a message: how many hashes of groups there are, two a dword.
    private const int MostHashes = 30, CountShift = 16;

    // With VLAN tag and frame check sequence.
    private const uint LongestOnWire = 1522;

    private readonly MacAddress[] _addresses = new MacAddress[count];
    private readonly uint[] _offloads = new uint[count];
    private readonly bool[] _isReady = new bool[count];

    /// <summary>How many virtual functions there are.</summary>
    internal int Count => count;

    /// <summary>Turns the switch on: frames to no virtual function's address are the physical one's.</summary>
    /// <param name="address">The physical function's.</param>
    internal void Start(MacAddress address)
    {
        registers.Write32(MultipleQueues, VirtualQueues);
        registers.Write32(VirtualControl, Replicates | (uint)count << DefaultPoolShift);

        // A virtual function sends from its own address only, and one that takes no frames holds up nobody.
        registers.Write32(SwitchControl, LoopbackEnable | Theirs);
        registers.Write32(QueueDrop, Theirs | Theirs << Pools);
        registers.Write32(AddressHigh, IgbAddress.High(address) | AddressValid | PoolOf(count));
        for (int i = 0; i < count; i++)
        {
            _addresses[i] = OwnAddress(address, i);
            _isReady[i] = false;
        }

        registers.Write32(PoolReceive, ~Theirs);
        registers.Write32(PoolTransmit, ~Theirs);
        SetPromiscuous(false);
        registers.Write32(FunctionResets, Theirs);
        registers.Write32(ExtendedControl, registers.Read32(ExtendedControl) | VirtualResetDone);
    }

    /// <summary>Whether the physical function receives frames to all groups, and those that are for nobody.</summary>
    internal void SetPromiscuous(bool value) =>
        registers.Write32(VirtualOffloads + (4 * count), Plain | ByGroupHash | LongestOnWire | LongFrames | (value ? AllGroups | ByStationHash : 0));

    /// <summary>Answers each message that waits, at most one of each virtual function.</summary>
    /// <returns>How many were answered.</returns>
    internal int Serve()
    {
        uint resets = registers.Read32(FunctionResets);
        uint causes = registers.Read32(MailboxCause);
        if (resets == uint.MaxValue || causes == uint.MaxValue)
            return 0;
        registers.Write32(FunctionResets, resets & Theirs);
        for (uint left = resets & Theirs; left != 0; left &= left - 1)
            _isReady[BitOperations.TrailingZeroCount(left)] = false;

        // That an answer was read is of no interest.
        registers.Write32(MailboxCause, causes & ~0xffffu);
        int answered = 0;
        for (uint left = causes & Theirs; left != 0; left &= left - 1)
        {
            if (TryAnswer(BitOperations.TrailingZeroCount(left)))
                answered++;
        }

        return answered;
    }

    private uint Theirs => (1u << count) - 1;

    private static uint PoolOf(int pool) => 1u << (AddressPoolShift + pool);

    // Each has one of its own that stays the same: local, with the number in the first octet.
    private static MacAddress OwnAddress(MacAddress address, int number)
    {
        const int FirstOctet = 40;
        const ulong Local = 0x02UL << FirstOctet;
        return new MacAddress((address.Value ^ (ulong)(number + 1) << (FirstOctet + 4)) | Local);
    }

    private bool TryAnswer(int number)
    {
        long mailbox = PhysicalMailbox + (4 * number);
        registers.Write32(mailbox, PhysicalOwns);
        if ((registers.Read32(mailbox) & PhysicalOwns) == 0)
            return false;
        registers.Write32(MailboxCause, 1u << number);
        long memory = MailboxMemory + (4 * MailboxDwords * number);
        Span<uint> message = stackalloc uint[MailboxDwords];
        for (int i = 0; i < message.Length; i++)
            message[i] = registers.Read32(memory + (4 * i));
        int length = Answer(number, message);
        for (int i = 0; i < length; i++)
            registers.Write32(memory + (4 * i), message[i]);
        registers.Write32(mailbox, TellRead | TellWritten);
        return true;
    }

    // Returns how many dwords of the message are the answer.
    private int Answer(int number, Span<uint> message)
    {
        uint asked = message[0] & MessageMask;
        if (asked == ResetMessage)
        {
            Reset(number);
            message[0] = ResetMessage | Done | ClearToSend;
            message[1] = IgbAddress.Low(_addresses[number]);
            message[2] = IgbAddress.High(_addresses[number]);
            return 3;
        }

        bool isDone = _isReady[number] && TryDo(number, asked, message);
        message[0] = asked | (isDone ? Done : Refused) | (_isReady[number] ? ClearToSend : 0);
        return 1;
    }

    private bool TryDo(int number, uint asked, ReadOnlySpan<uint> message)
    {
        switch (asked)
        {
            case SetAddressMessage:
                MacAddress address = IgbAddress.Read(message[1], message[2]);
                if (!address.IsStation || address.Value == 0)
                    return false;
                _addresses[number] = address;
                WriteAddress(number);
                return true;
            case SetGroupsMessage:
                AddGroups(number, (int)(message[0] >> CountShift & 0xff), message[1..]);
                return true;
            case SetVlanMessage:
                // No tag is filtered.
                return true;
            case SetLongestMessage:
                if (message[1] is < 64 or > LengthMask)
                    return false;
                WriteOffloads(number, (_offloads[number] & ~LengthMask) | LongFrames | message[1]);
                return true;
            case SetPromiscuousMessage:
                if ((message[0] & ~(MessageMask | PromiscuousGroups)) != 0)
                    return false;
                bool wants = (message[0] & PromiscuousGroups) != 0;
                WriteOffloads(number, wants ? _offloads[number] | AllGroups : _offloads[number] & ~AllGroups);
                return true;
            default:
                return false;
        }
    }

    private void Reset(int number)
    {
        WriteOffloads(number, Plain);
        WriteAddress(number);
        registers.Write32(PoolReceive, registers.Read32(PoolReceive) | 1u << number);
        registers.Write32(PoolTransmit, registers.Read32(PoolTransmit) | 1u << number);
        _isReady[number] = true;
    }

    private void WriteOffloads(int number, uint value)
    {
        _offloads[number] = value;
        registers.Write32(VirtualOffloads + (4 * number), value);
    }

    // Entry 0 is the physical function's.
    private void WriteAddress(int number)
    {
        const int EntryBytes = 8;
        int offset = EntryBytes * (number + 1);
        registers.Write32(AddressHigh + offset, 0);
        registers.Write32(AddressLow + offset, IgbAddress.Low(_addresses[number]));
        registers.Write32(AddressHigh + offset, IgbAddress.High(_addresses[number]) | AddressValid | PoolOf(number));
    }

    // Groups that one of them has left stay in the table, which all of them share: they filter again what they receive.
    private void AddGroups(int number, int asked, ReadOnlySpan<uint> hashes)
    {
        for (int i = 0; i < Math.Min(asked, MostHashes); i++)
        {
            uint hash = hashes[i / 2] >> (16 * (i & 1)) & 0xfff;
            long entry = MulticastTable + (4 * (hash >> 5));
            registers.Write32(entry, registers.Read32(entry) | 1u << (int)(hash & 31));
        }

        WriteOffloads(number, _offloads[number] | ByGroupHash);
    }
}
