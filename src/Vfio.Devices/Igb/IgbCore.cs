using System.Buffers.Binary;
using Vfio.Devices.Network;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>What the parts of the device share: registers, counters, interrupt logic, the packet buffer, and the cable.</summary>
internal sealed class IgbCore : INetPort
{
    /// <summary>The longest frame, without the frame check sequence.</summary>
    internal const int LongestFrame = INetPort.LongestFrame;

    private const int ShortestFrame = 60, HeaderBytes = 14;
    private const uint MasterDisable = 1u << 2, SetLinkUp = 1u << 6, ReceiveEnable = 1u << 1;
    private const uint LoopbackMode = 3u << 6, MacLoopback = 1u << 6;

    // Of STATUS.
    private const uint FullDuplex = 1, LinkUp = 1u << 1, Gigabit = 1u << 7;

    // How long the sender of a loop waits for the receive work, which may not run now on a busy machine; a reset waits too.
    private static readonly TimeSpan FullTimeout = TimeSpan.FromMilliseconds(20);

    private readonly IgbSwitch? _switch;
    private volatile bool _isFull;

    private readonly RegisterCell _control;
    private readonly RegisterCell _receiveControl;

    /// <summary>Makes a port.</summary>
    /// <param name="function">Its physical function.</param>
    /// <param name="network">The other end of its cable.</param>
    /// <param name="clock">The time.</param>
    /// <param name="virtualFunctions">How many virtual functions it has.</param>
    /// <param name="abandon">Abandons the threads of the physical function.</param>
    internal IgbCore(IgbFunction function, NetBackend network, TimeProvider clock, int virtualFunctions, Action abandon)
    {
        Network = network;
        _control = Registers.CellOf(IgbRegister.Control);
        _receiveControl = Registers.CellOf(IgbRegister.ReceiveControl);
        Statistics = new IgbStatistics(Registers);
        Interrupts = new IgbInterrupts(Registers, Statistics, clock);
        VirtualFunctions = [.. Enumerable.Range(0, virtualFunctions).Select(number => new IgbVirtualFunction(this, number, function.Description, clock))];
        VirtualPools = [.. VirtualFunctions.Select(virtualFunction => virtualFunction.Pool)];
        uint theirs = VirtualPools.Aggregate(0u, (queues, pool) => queues | pool.Queues);
        Own = new IgbPool(this, function, Interrupts, ~theirs, abandon);
        Mailboxes = new IgbMailboxes(this, virtualFunctions);
        _switch = virtualFunctions > 0 ? new IgbSwitch(this) : null;
    }

    /// <summary>The virtual functions.</summary>
    internal IgbVirtualFunction[] VirtualFunctions { get; }

    /// <summary>What the virtual functions have of it, in their order.</summary>
    internal IgbPool[] VirtualPools { get; }

    /// <summary>What the physical function has of it.</summary>
    internal IgbPool Own { get; }

    /// <summary>The mailboxes between them.</summary>
    internal IgbMailboxes Mailboxes { get; }

    internal RegisterFile<IgbRegister> Registers { get; } = new(IgbRegisters.Map);

    internal IgbStatistics Statistics { get; }

    internal IgbInterrupts Interrupts { get; }

    internal IgbPhy Phy { get; } = new();

    internal NetBackend Network { get; }

    /// <summary>Whether requests on the bus are allowed: CTRL.GIO_Master_Disable is clear.</summary>
    internal bool MayMaster => (_control.Value & MasterDisable) == 0;

    /// <summary>Whether requests on the bus may be under way.</summary>
    internal bool IsMaster => MayMaster || !Own.IsAtRest;

    /// <summary>Whether the partner is there, as the PHY sees it.</summary>
    internal bool IsCableUp => Network.IsUp;

    /// <summary>STATUS.LU.</summary>
    internal bool IsLinkUp =>
        (_control.Value & SetLinkUp) != 0 && !Phy.IsPoweredDown && (IsCableUp || IsLoopedBack);

    /// <inheritdoc/>
    public bool IsReceiving => IsEnabled && !IsLoopedBack;

    private bool IsLoopedBack => Phy.IsLoopedBack || (_receiveControl.Value & LoopbackMode) == MacLoopback;

    /// <summary>RCTL.RXEN.</summary>
    internal bool MayReceive => (_receiveControl.Value & ReceiveEnable) != 0;

    /// <summary>What STATUS and VTSTATUS say of the link.</summary>
    internal uint LinkStatus => FullDuplex | Gigabit | (IsLinkUp ? LinkUp : 0);

    private bool IsEnabled => MayReceive && IsLinkUp;

    /// <summary>Who has a queue, or a pool: that of the same number.</summary>
    internal IgbPool OwnerOf(int queue) => IgbSwitch.PoolOf(queue) is int pool && pool < VirtualPools.Length ? VirtualPools[pool] : Own;

    /// <summary>Whether a queue may send now, as far as the switch says.</summary>
    internal bool MaySend(int queue) => _switch is null || _switch.MaySend(queue, _switch.IsOn);

    /// <summary>Ends the threads of virtual functions, before the physical one is reset.</summary>
    internal void AbandonVirtual() => DeviceExecutor.Abandon(VirtualFunctions);

    /// <summary>Makes new work in place of what a reset abandoned. Virtual functions wait for the physical one's driver then.</summary>
    internal void Restart()
    {
        Own.Restart();
        foreach (IgbPool pool in VirtualPools)
            pool.Restart();
        Mailboxes.Reset();
    }

    /// <summary>A virtual function was reset: its queues are as after power-on, and it neither sends nor receives until the physical one's
    /// driver lets it.</summary>
    internal void ResetVirtual(int number)
    {
        uint pool = 1u << number;
        IgbPool share = VirtualPools[number];
        share.Abandon();

        // Before the two others: a driver that writes them, and sees no reset afterwards, wrote them before they are cleared.
        Registers.Set(IgbRegister.FunctionResets, pool);
        Registers.Clear(IgbRegister.PoolReceive, pool);
        Registers.Clear(IgbRegister.PoolTransmit, pool);
        foreach ((_, IgbRegister register) in IgbVirtualRegisters.OfQueues)
        {
            Registers.Reset(register, number);
            Registers.Reset(register, number + IgbRegisters.Pools);
        }

        Registers.Reset(IgbRegister.SplitType, number);
        share.Restart();
        Mailboxes.ResetVirtual(number);
        Own.Notify(IgbInterrupts.Mailbox);
    }

    /// <summary>Waits until no work runs, or is to.</summary>
    internal bool AwaitWork(TimeSpan timeout) => SpinWait.SpinUntil(() => Own.IsAtRest && Array.TrueForAll(VirtualPools, pool => pool.IsAtRest), timeout);

    /// <summary>Has all that receives look again.</summary>
    internal void WakeReceive()
    {
        Own.WakeReceive();
        foreach (IgbPool pool in VirtualPools)
            pool.WakeReceive();
    }

    /// <summary>Has all that sends look again.</summary>
    internal void WakeTransmit()
    {
        Own.WakeTransmit();
        foreach (IgbPool pool in VirtualPools)
            pool.WakeTransmit();
    }

    /// <inheritdoc/>
    public void LinkChanged() => Own.Notify(IgbInterrupts.LinkChange);

    /// <summary>Sends a frame; called by the transmit work of a function.</summary>
    /// <param name="from">The function.</param>
    /// <param name="queue">From which of its queues.</param>
    /// <param name="frame">Without the frame check sequence.</param>
    /// <param name="vlan">The tag to insert.</param>
    /// <param name="vlanType">Its type.</param>
    internal void Transmit(IgbPool from, int queue, ReadOnlySpan<byte> frame, ushort? vlan, ushort vlanType)
    {
        IgbSwitch? on = _switch is { IsOn: true } ? _switch : null;

        // The frame may have been fetched before its pool was told not to send.
        if (_switch is not null && !_switch.MaySend(queue, on is not null))
            return;
        if (on is not null)
            vlan = on.TagOf(queue, vlan);
        byte[] leaving = from.Leaving;
        int length = frame.Length + (vlan is null ? 0 : IgbPacket.VlanBytes);
        if (frame.Length < HeaderBytes || length > LongestFrame || (on is null && !IsLinkUp))
            return;
        if (vlan is { } tag)
        {
            frame[..12].CopyTo(leaving);
            BinaryPrimitives.WriteUInt16BigEndian(leaving.AsSpan(12), vlanType);
            BinaryPrimitives.WriteUInt16BigEndian(leaving.AsSpan(14), tag);
            frame[12..].CopyTo(leaving.AsSpan(16));
            frame = leaving.AsSpan(0, length);
        }

        if (length < ShortestFrame)
        {
            if (vlan is null)
                frame.CopyTo(leaving);
            leaving.AsSpan(length, ShortestFrame - length).Clear();
            frame = leaving.AsSpan(0, ShortestFrame);
        }

        if (on is not null && (!on.Send(from, queue, frame) || !IsLinkUp))
            return;
        Statistics.CountSent(frame);
        if (IsLoopedBack)
            Receive(frame, isOwn: true);
        else
            Network.Send(frame);
    }

    /// <inheritdoc/>
    public bool TryReceive(ReadOnlySpan<byte> frame) => TryReceive(frame, isOwn: false);

    // A port that is looped back hears nothing of its cable.
    private bool TryReceive(ReadOnlySpan<byte> frame, bool isOwn)
    {
        int epoch = Own.Inbox.Epoch;
        if (frame.Length < HeaderBytes || !(isOwn ? IsEnabled : IsReceiving))
            return true;
        if (frame.Length > LongestFrame)
        {
            Statistics.Count(IgbStatistic.Oversize);
            return true;
        }

        if (_switch is { IsOn: true } on)
        {
            on.Receive(frame);
            return true;
        }

        if (!Own.Inbox.TryPut(frame, epoch))
            return false;
        Own.WakeReceive();
        return true;
    }

    /// <inheritdoc/>
    public void WaitForRoom(int bytes, TimeSpan timeout) => Own.Inbox.WaitForRoom(bytes, timeout);

    /// <inheritdoc/>
    public void Receive(ReadOnlySpan<byte> frame) => Receive(frame, isOwn: false);

    /// <inheritdoc/>
    public void ReceiveOrDrop(ReadOnlySpan<byte> frame)
    {
        if (!TryReceive(frame))
            Statistics.Count(IgbStatistic.MissedPackets);
    }

    private void Receive(ReadOnlySpan<byte> frame, bool isOwn)
    {
        if (TryReceive(frame, isOwn))
        {
            _isFull = false;
            return;
        }

        if (!_isFull)
            Own.Inbox.WaitForRoom(frame.Length, FullTimeout);
        _isFull = !TryReceive(frame, isOwn);
        if (_isFull)
            Statistics.Count(IgbStatistic.MissedPackets);
    }
}
