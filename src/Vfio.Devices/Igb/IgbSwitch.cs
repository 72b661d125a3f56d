using System.Buffers.Binary;
using System.Numerics;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>The switch between the pools of a port and its cable: who gets a frame, and who may send it.</summary>
/// <remarks>
/// <para>82576 Datasheet, sections 7.10.3 and 8.14. It is on while MRQC says VMDq; else all frames are the physical function's, and virtual
/// functions neither send nor receive.</para>
/// <para>Any thread: of the cable, or of a function that sends. It waits for nobody: a pool that takes nothing loses its own frames.</para>
/// </remarks>
internal sealed class IgbSwitch
{
    private const int CheckBytes = 4, LongestUntagged = 1518, AddressBytes = 6;
    private const uint AllPools = (1 << IgbRegisters.Pools) - 1, VirtualQueues = 1, Valid = 1u << 31;

    // Of RCTL, VT_CTL and DTXSWC.
    private const uint UnicastPromiscuous = 1u << 3, MulticastPromiscuous = 1u << 4, VlanFilter = 1u << 18;
    private const uint NoDefaultPool = 1u << 29, Replicates = 1u << 30;
    private const uint LoopbackEnable = 1u << 31;
    private const int VlanSpoofShift = 8, OwnLoopbackShift = 16, AddressPoolShift = 18, DefaultPoolShift = 7, VlanPoolShift = 12;

    // Of VMOLR.
    private const uint LongFrames = 1u << 16, AcceptsUntagged = 1u << 24, ByGroupHash = 1u << 25, ByStationHash = 1u << 26, Broadcasts = 1u << 27,
        AllGroups = 1u << 28, LengthMask = 0x3fff;

    private readonly IgbCore _core;
    private readonly RegisterFile<IgbRegister> _registers;
    private readonly RegisterCell _queues;
    private readonly RegisterCell _receive;
    private readonly RegisterCell _send;
    private readonly RegisterCell _control;
    private readonly RegisterCell _pools;
    private readonly RegisterCell _sending;
    private readonly RegisterCell _vlanType;
    private readonly RegisterCell[] _offloads;
    private readonly RegisterCell[] _tags;
    private readonly RegisterCell[] _vlans;
    private readonly RegisterCell[] _lows;
    private readonly RegisterCell[] _highs;

    internal IgbSwitch(IgbCore core)
    {
        _core = core;
        _registers = core.Registers;
        _queues = _registers.CellOf(IgbRegister.MultipleQueues);
        _receive = _registers.CellOf(IgbRegister.PoolReceive);
        _send = _registers.CellOf(IgbRegister.PoolTransmit);
        _control = _registers.CellOf(IgbRegister.ReceiveControl);
        _pools = _registers.CellOf(IgbRegister.VirtualControl);
        _sending = _registers.CellOf(IgbRegister.SwitchControl);
        _vlanType = _registers.CellOf(IgbRegister.VlanType);
        _offloads = CellsOf(IgbRegister.VirtualOffloads, IgbRegisters.Pools);
        _tags = CellsOf(IgbRegister.PoolTag, IgbRegisters.Pools);
        _vlans = CellsOf(IgbRegister.VlanPool, IgbRegisters.VlanPools);
        _lows = IgbFilter.CellsOf(_registers, IgbRegister.AddressLow, IgbRegister.AddressLowMore);
        _highs = IgbFilter.CellsOf(_registers, IgbRegister.AddressHigh, IgbRegister.AddressHighMore);
    }

    /// <summary>Whether frames are switched between pools.</summary>
    internal bool IsOn => (_queues.Value & VirtualQueues) != 0;

    /// <summary>The pool of a queue.</summary>
    internal static int PoolOf(int queue) => queue % IgbRegisters.Pools;

    /// <summary>Whether a queue may send now.</summary>
    /// <param name="queue">Which one.</param>
    /// <param name="isOn">What <see cref="IsOn"/> said.</param>
    internal bool MaySend(int queue, bool isOn) => isOn ? (_send.Value >> PoolOf(queue) & 1) != 0 : PoolOf(queue) >= _core.VirtualPools.Length;

    /// <summary>The tag that a frame gets: the one that its sender asked for, unless its pool has a tag of its own, or none at all.</summary>
    internal ushort? TagOf(int queue, ushort? asked)
    {
        uint tag = (uint)_tags[PoolOf(queue)].Value;
        return (tag >> 30) switch
        {
            1 => (ushort)tag,
            2 => null,
            _ => asked,
        };
    }

    /// <summary>Receives a frame from the cable.</summary>
    internal void Receive(ReadOnlySpan<byte> frame)
    {
        _core.Statistics.CountArrival(frame.Length);
        Span<int> epochs = stackalloc int[IgbRegisters.Pools];
        TakeEpochs(epochs);
        uint pools = PoolsFor(frame, isLocal: false, out _);
        if (pools == 0)
            return;
        _core.Statistics.CountReceived(frame);
        Deliver(frame, pools, epochs, isLocal: false);
    }

    /// <summary>Sends a frame of a pool to others of the port.</summary>
    /// <param name="from">The function that sends it.</param>
    /// <param name="queue">From which of its queues.</param>
    /// <param name="frame">With its tag.</param>
    /// <returns>Whether it is to leave by the cable: not when a station of the port has its address, or its sender may not send it.</returns>
    internal bool Send(IgbPool from, int queue, ReadOnlySpan<byte> frame)
    {
        int pool = PoolOf(queue);
        uint control = (uint)_sending.Value;
        if (IsSpoofed(frame, pool, control, out uint wrong))
        {
            _registers.Set(IgbRegister.WrongBehaviour, wrong);
            _core.Own.Notify(IgbInterrupts.WrongSender);
            return false;
        }

        uint pools = 0;
        bool isListed = false;
        Span<int> epochs = stackalloc int[IgbRegisters.Pools];
        TakeEpochs(epochs);
        if ((control & LoopbackEnable) != 0 && _core.MayReceive)
        {
            pools = PoolsFor(frame, isLocal: true, out isListed);
            if ((control >> (OwnLoopbackShift + pool) & 1) == 0)
                pools &= ~(1u << pool);
        }

        from.Statistics?.CountSent(frame, isLocal: pools != 0);
        Deliver(frame, pools, epochs, isLocal: true);
        return !isListed;
    }

    private RegisterCell[] CellsOf(IgbRegister register, int count) =>
        [.. Enumerable.Range(0, count).Select(i => _registers.CellOf(register, i))];

    // Before it is decided who gets a frame: it is for nobody who comes after a reset.
    private void TakeEpochs(Span<int> epochs)
    {
        for (int pool = 0; pool < epochs.Length; pool++)
            epochs[pool] = _core.OwnerOf(pool).Inbox.Epoch;
    }

    private void Deliver(ReadOnlySpan<byte> frame, uint pools, ReadOnlySpan<int> epochs, bool isLocal)
    {
        for (; pools != 0; pools &= pools - 1)
        {
            int pool = BitOperations.TrailingZeroCount(pools);
            if (IsTooLong(frame, (uint)_offloads[pool].Value))
            {
                _core.Statistics.Count(IgbStatistic.Oversize);
                continue;
            }

            IgbPool to = _core.OwnerOf(pool);
            if (to.Inbox.TryPut(frame, epochs[pool], IgbRoute.Of(pool, isLocal)))
                to.WakeReceive();
            else
                _registers.Count(IgbRegister.ReceiveDropped, pool, 1, uint.MaxValue, wraps: false);
        }
    }

    /// <summary>The pools that get a frame, one bit each.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="isLocal">Whether a pool of the port sent it.</param>
    /// <param name="isListed">Whether it is to one station, which is of the port.</param>
    private uint PoolsFor(ReadOnlySpan<byte> frame, bool isLocal, out bool isListed)
    {
        isListed = false;
        uint control = (uint)_control.Value;
        uint virtualControl = (uint)_pools.Value;
        bool isGroup = IgbFilter.IsMulticast(frame);
        bool usesDefault;
        uint pools;
        if (IgbFilter.IsBroadcast(frame))
        {
            pools = PoolsThat(Broadcasts);
            usesDefault = false;
        }
        else
        {
            bool isKnown = TryFindStation(frame[..AddressBytes], out pools);
            bool isHashed = !isKnown && ((isGroup && (control & MulticastPromiscuous) != 0)
                || IgbFilter.IsHashed(_registers, isGroup ? IgbRegister.MulticastTable : IgbRegister.UnicastTable, frame, control));
            if (isHashed)
                pools = PoolsThat(isGroup ? ByGroupHash : ByStationHash);
            if (isGroup)
                pools |= PoolsThat(AllGroups);
            isListed = isKnown && !isGroup;
            usesDefault = isHashed || (!isKnown && !isGroup && (control & UnicastPromiscuous) != 0);
        }

        // Without replication a frame to a group is for one pool.
        if (isGroup && (virtualControl & Replicates) == 0 && pools != 0)
            (pools, usesDefault) = (0, true);
        if ((control & VlanFilter) != 0)
            pools &= PoolsOfVlan(frame);
        if (pools == 0 && usesDefault && !isLocal && (virtualControl & NoDefaultPool) == 0)
            pools = 1u << (int)(virtualControl >> DefaultPoolShift & 7);
        return pools & (uint)_receive.Value;
    }

    private uint PoolsThat(uint wants)
    {
        uint pools = 0;
        for (int pool = 0; pool < IgbRegisters.Pools; pool++)
            pools |= ((uint)_offloads[pool].Value & wants) != 0 ? 1u << pool : 0;
        return pools;
    }

    // Whether an address is in the table, and the pools of all its entries.
    private bool TryFindStation(ReadOnlySpan<byte> address, out uint pools)
    {
        uint low = BinaryPrimitives.ReadUInt32LittleEndian(address);
        uint high = BinaryPrimitives.ReadUInt16LittleEndian(address[4..]);
        pools = 0;
        bool isKnown = false;
        for (int i = 0; i < IgbRegisters.Addresses; i++)
        {
            uint entry = (uint)_highs[i].Value;
            if ((entry & Valid) == 0 || (entry & 0xffff) != high || (uint)_lows[i].Value != low)
                continue;
            pools |= entry >> AddressPoolShift & AllPools;
            isKnown = true;
        }

        return isKnown;
    }

    private uint PoolsOfVlan(ReadOnlySpan<byte> frame)
    {
        if (!IsTagged(frame))
            return PoolsThat(AcceptsUntagged);
        uint vlan = BinaryPrimitives.ReadUInt16BigEndian(frame[IgbPacket.Ethernet..]) & 0xfffu;
        uint pools = 0;
        foreach (RegisterCell cell in _vlans)
        {
            uint entry = (uint)cell.Value;
            if ((entry & Valid) != 0 && (entry & 0xfff) == vlan)
                pools |= entry >> VlanPoolShift & AllPools;
        }

        return pools;
    }

    private bool IsSpoofed(ReadOnlySpan<byte> frame, int pool, uint control, out uint wrong)
    {
        wrong = 0;
        if ((control >> pool & 1) != 0 && !(TryFindStation(frame.Slice(AddressBytes, AddressBytes), out uint owners) && (owners >> pool & 1) != 0))
            wrong |= 1u << pool;
        if ((control >> (VlanSpoofShift + pool) & 1) != 0 && IsTagged(frame) && (PoolsOfVlan(frame) >> pool & 1) == 0)
            wrong |= 1u << (VlanSpoofShift + pool);
        return wrong != 0;
    }

    private bool IsTagged(ReadOnlySpan<byte> frame) =>
        frame.Length >= IgbPacket.Ethernet + IgbPacket.VlanBytes && BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == (ushort)_vlanType.Value;

    private bool IsTooLong(ReadOnlySpan<byte> frame, uint offloads)
    {
        int longest = (offloads & LongFrames) != 0 ? (int)(offloads & LengthMask) : LongestUntagged;
        return frame.Length + CheckBytes > longest + (IsTagged(frame) ? IgbPacket.VlanBytes : 0);
    }
}
