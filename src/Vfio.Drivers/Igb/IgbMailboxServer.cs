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
/// <param name="mayChangeAddress">Whether they may have other addresses than their own.</param>
internal sealed class IgbMailboxServer(Bar registers, int count, bool mayChangeAddress)
{
    /// <summary>How many pools the switch has; the physical function has the first that is no virtual one's.</summary>
    internal const int Pools = 8;

    // Of a message: how many hashes of groups there are, two a dword; what else it may say is there too.
    private const int MostHashes = 30, CountShift = 16;
    private const uint DetailMask = 0x00ff_0000;

    private readonly MacAddress[] _addresses = new MacAddress[count];
    private readonly uint[] _offloads = new uint[count];

    // Of each, what it adds to the table of groups, which all of them share.
    private readonly uint[,] _groups = new uint[count, MulticastEntries];
    private MacAddress _physical;
    private uint _ready;

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
        _physical = address;
        for (int i = 0; i < count; i++)
            Forget(i);
        registers.Write32(FunctionResets, Theirs);
        WritePools();
        SetPromiscuous(false);
        registers.Write32(ExtendedControl, registers.Read32(ExtendedControl) | VirtualResetDone);
    }

    /// <summary>Whether the physical function receives frames to all groups, and those that are for nobody.</summary>
    internal void SetPromiscuous(bool value) =>
        registers.Write32(VirtualOffloads + (4 * count), Plain | ByGroupHash | LongestOnWire | LongFrames | (value ? AllGroups | ByStationHash : 0));

    /// <summary>Answers each message that waits, at most one of each virtual function.</summary>
    /// <returns>How many were answered.</returns>
    internal int Serve()
    {
        // In this order: a request that is seen came after every reset that is not.
        uint causes = registers.Read32(MailboxCause);
        uint resets = registers.Read32(FunctionResets);
        if (resets == uint.MaxValue || causes == uint.MaxValue)
            return 0;
        if (Forget(resets) != 0)
            WritePools();

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

    // Those that were reset have only what they had at first, until they are back. Returns who of them had more.
    private uint Forget(uint resets)
    {
        resets &= Theirs;
        if (resets == 0)
            return 0;
        registers.Write32(FunctionResets, resets);
        uint known = resets & _ready;
        for (uint left = known; left != 0; left &= left - 1)
            Forget(BitOperations.TrailingZeroCount(left));
        return known;
    }

    private void Forget(int number)
    {
        _ready &= ~(1u << number);
        _addresses[number] = OwnAddress(_physical, number);
        registers.Write32(AddressHigh + EntryOf(number), 0);
        SetGroups(number, 0, []);
    }

    // A reset of a virtual function clears its bits, and says so before: one that comes between is seen here. Each turn forgets one at least.
    private void WritePools()
    {
        do
        {
            registers.Write32(PoolReceive, ~Theirs | _ready);
            registers.Write32(PoolTransmit, ~Theirs | _ready);
        }
        while (Forget(registers.Read32(FunctionResets)) != 0);
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

            // Without CTS: igbvf takes this very value only.
            message[0] = ResetMessage | Done;
            message[1] = IgbAddress.Low(_addresses[number]);
            message[2] = IgbAddress.High(_addresses[number]);
            return 3;
        }

        // Who asked compares the details too.
        bool isReady = (_ready >> number & 1) != 0;
        bool isDone = isReady && TryDo(number, asked, message);
        message[0] = (message[0] & (MessageMask | DetailMask)) | (isDone ? Done : Refused) | (isReady ? ClearToSend : 0);
        return 1;
    }

    private bool TryDo(int number, uint asked, ReadOnlySpan<uint> message)
    {
        switch (asked)
        {
            case SetAddressMessage:
                // Further addresses, which its details may ask for, nobody gets.
                MacAddress address = IgbAddress.Read(message[1], message[2]);
                if ((message[0] & DetailMask) != 0 || !MayHave(number, address))
                    return false;
                _addresses[number] = address;
                WriteAddress(number);
                return true;
            case SetGroupsMessage:
                int hashes = Math.Min((int)((message[0] & DetailMask) >> CountShift), MostHashes);
                SetGroups(number, hashes, message[1..]);
                WriteOffloads(number, hashes > 0 ? _offloads[number] | ByGroupHash : _offloads[number] & ~ByGroupHash);
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
        SetGroups(number, 0, []);
        WriteOffloads(number, Plain);
        WriteAddress(number);
        _ready |= 1u << number;
        WritePools();
    }

    // No other function's, whether that has it now or would after a reset. Of other stations of the network nobody here knows.
    private bool MayHave(int number, MacAddress address)
    {
        if (address == OwnAddress(_physical, number))
            return true;
        if (!mayChangeAddress || !address.IsStation || address.Value == 0 || address == _physical)
            return false;
        for (int i = 0; i < count; i++)
        {
            if (i != number && (address == _addresses[i] || address == OwnAddress(_physical, i)))
                return false;
        }

        return true;
    }

    private void WriteOffloads(int number, uint value)
    {
        _offloads[number] = value;
        registers.Write32(VirtualOffloads + (4 * number), value);
    }

    // Entry 0 is the physical function's.
    private static int EntryOf(int number)
    {
        const int EntryBytes = 8;
        return EntryBytes * (number + 1);
    }

    private void WriteAddress(int number)
    {
        int offset = EntryOf(number);
        registers.Write32(AddressHigh + offset, 0);
        registers.Write32(AddressLow + offset, IgbAddress.Low(_addresses[number]));
        registers.Write32(AddressHigh + offset, IgbAddress.High(_addresses[number]) | AddressValid | PoolOf(number));
    }

    // In place of those that it had before.
    private void SetGroups(int number, int asked, ReadOnlySpan<uint> hashes)
    {
        Span<uint> wanted = stackalloc uint[MulticastEntries];
        wanted.Clear();
        for (int i = 0; i < asked; i++)
        {
            uint hash = hashes[i / 2] >> (16 * (i & 1)) & 0xfff;
            wanted[(int)(hash >> 5)] |= 1u << (int)(hash & 31);
        }

        for (int entry = 0; entry < wanted.Length; entry++)
        {
            if (_groups[number, entry] == wanted[entry])
                continue;
            _groups[number, entry] = wanted[entry];
            uint all = 0;
            for (int i = 0; i < count; i++)
                all |= _groups[i, entry];
            registers.Write32(MulticastTable + (4 * entry), all);
        }
    }
}
