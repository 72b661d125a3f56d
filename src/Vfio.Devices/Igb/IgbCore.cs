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

    private const int ShortestFrame = 60, HeaderBytes = 14, VlanBytes = 4;
    private const uint MasterDisable = 1u << 2, SetLinkUp = 1u << 6, ReceiveEnable = 1u << 1, MacLoopback = 3u << 6;

    // How long the sender of a loop or a hub waits for the receive work, which may not run now on a busy machine; a reset waits too.
    private static readonly TimeSpan FullTimeout = TimeSpan.FromMilliseconds(20);

    // The transmit work's: a frame with its tag and padding.
    private readonly byte[] _leaving = new byte[LongestFrame + VlanBytes];
    private volatile IgbReceiveWork? _receive;
    private volatile IgbTransmitWork? _transmit;
    private volatile IgbTimerWork? _timer;
    private volatile bool _isFull;
    private int _linkChanges;

    private readonly RegisterCell _control;
    private readonly RegisterCell _receiveControl;

    internal IgbCore(IgbFunction function, NetBackend network, TimeProvider clock)
    {
        Function = function;
        Network = network;
        _control = Registers.CellOf(IgbRegister.Control);
        _receiveControl = Registers.CellOf(IgbRegister.ReceiveControl);
        Statistics = new IgbStatistics(Registers);
        Interrupts = new IgbInterrupts(Registers, Statistics, clock);
    }

    internal IgbFunction Function { get; }

    internal RegisterFile<IgbRegister> Registers { get; } = new(IgbRegisters.Map);

    internal IgbStatistics Statistics { get; }

    internal IgbInterrupts Interrupts { get; }

    internal IgbInbox Inbox { get; } = new();

    internal IgbPhy Phy { get; } = new();

    internal NetBackend Network { get; }

    /// <summary>Whether requests on the bus are allowed: CTRL.GIO_Master_Disable is clear.</summary>
    internal bool MayMaster => (_control.Value & MasterDisable) == 0;

    /// <summary>Whether requests on the bus may be under way.</summary>
    internal bool IsMaster => MayMaster || _receive is { IsAtRest: false } || _transmit is { IsAtRest: false };

    /// <summary>Whether the partner is there, as the PHY sees it.</summary>
    internal bool IsCableUp => Network.IsUp;

    /// <summary>STATUS.LU.</summary>
    internal bool IsLinkUp =>
        (_control.Value & SetLinkUp) != 0 && !Phy.IsPoweredDown && (IsCableUp || IsLoopedBack);

    /// <inheritdoc/>
    public bool IsReceiving => (_receiveControl.Value & ReceiveEnable) != 0 && IsLinkUp;

    private bool IsLoopedBack => Phy.IsLoopedBack || (_receiveControl.Value & MacLoopback) == MacLoopback;

    /// <summary>Makes new work in place of what a reset abandoned.</summary>
    internal void Restart()
    {
        Inbox.Clear();
        Interrupts.Reset();
        _receive = new IgbReceiveWork(this);
        _transmit = new IgbTransmitWork(this);
        _timer = new IgbTimerWork(this);
    }

    /// <summary>Waits until no work runs, or is to.</summary>
    internal bool AwaitWork(TimeSpan timeout) =>
        SpinWait.SpinUntil(() => _receive is not { IsAtRest: false } && _transmit is not { IsAtRest: false }, timeout);

    internal void WakeReceive() => _receive?.Wake();

    internal void WakeTransmit() => _transmit?.Wake();

    internal void RestartReceive(int queue)
    {
        _receive?.Restart(queue);
        WakeReceive();
    }

    internal void RestartTransmit(int queue)
    {
        _transmit?.Restart(queue);
        WakeTransmit();
    }

    /// <summary>Has the timer look, when an interrupt waits for its time.</summary>
    internal void WakeForDue()
    {
        if (Interrupts.HasDue)
            _timer?.Wake();
    }

    /// <inheritdoc/>
    public void LinkChanged()
    {
        Interlocked.Increment(ref _linkChanges);
        _timer?.Wake();
    }

    /// <summary>Whether the link changed since this was asked last.</summary>
    internal bool TakeLinkChange() => Interlocked.Exchange(ref _linkChanges, 0) != 0;

    /// <summary>Sends a frame; called by the transmit work.</summary>
    /// <param name="frame">Without the frame check sequence.</param>
    /// <param name="vlan">The tag to insert.</param>
    /// <param name="vlanType">Its type.</param>
    internal void Transmit(ReadOnlySpan<byte> frame, ushort? vlan, ushort vlanType)
    {
        int length = frame.Length + (vlan is null ? 0 : VlanBytes);
        if (frame.Length < HeaderBytes || length > LongestFrame || !IsLinkUp)
            return;
        if (vlan is { } tag)
        {
            frame[..12].CopyTo(_leaving);
            BinaryPrimitives.WriteUInt16BigEndian(_leaving.AsSpan(12), vlanType);
            BinaryPrimitives.WriteUInt16BigEndian(_leaving.AsSpan(14), tag);
            frame[12..].CopyTo(_leaving.AsSpan(16));
            frame = _leaving.AsSpan(0, length);
        }

        if (length < ShortestFrame)
        {
            if (vlan is null)
                frame.CopyTo(_leaving);
            _leaving.AsSpan(length, ShortestFrame - length).Clear();
            frame = _leaving.AsSpan(0, ShortestFrame);
        }

        Statistics.CountSent(frame);
        if (IsLoopedBack)
            Receive(frame);
        else
            Network.Send(frame);
    }

    /// <inheritdoc/>
    public bool TryReceive(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < HeaderBytes || !IsReceiving)
            return true;
        if (frame.Length > LongestFrame)
        {
            Statistics.Count(IgbStatistic.Oversize);
            return true;
        }

        if (!Inbox.TryPut(frame))
            return false;
        WakeReceive();
        return true;
    }

    /// <inheritdoc/>
    public void WaitForRoom(int bytes, TimeSpan timeout) => Inbox.WaitForRoom(bytes, timeout);

    /// <inheritdoc/>
    public void Receive(ReadOnlySpan<byte> frame)
    {
        if (TryReceive(frame))
        {
            _isFull = false;
            return;
        }

        if (!_isFull)
            Inbox.WaitForRoom(frame.Length, FullTimeout);
        _isFull = !TryReceive(frame);
        if (_isFull)
            Statistics.Count(IgbStatistic.MissedPackets);
    }
}
