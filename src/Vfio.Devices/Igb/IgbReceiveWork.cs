using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>The thread that receives: takes frames from the packet buffer, filters them, and puts them into queues.</summary>
/// <remarks>A queue without a free descriptor holds up the frames behind, as in hardware, unless it drops. Nothing is allocated a
/// frame.</remarks>
internal sealed class IgbReceiveWork : DeviceWork
{
    private const int FramesAtOnce = 32, ShortestFrame = 60, CheckBytes = 4, HeaderBytes = 14, VlanBytes = 4;
    private const uint StripCheck = 1u << 26, StripVlan = 1u << 30, VlanPresent = 1u << 3;

    // Of VMOLR.
    private const uint PoolHashes = 1u << 17, PoolStripsVlan = 1u << 30, PoolStripsCheck = 1u << 31;
    private readonly IgbCore _core;
    private readonly IgbPool _pool;
    private readonly IgbMemory _memory;
    private readonly RegisterFile<IgbRegister> _registers;
    private readonly RegisterCell _control;
    private readonly RegisterCell _receiveControl;
    private readonly RegisterCell _poolReceive;
    private readonly IgbFilter _filter;
    private readonly IgbClassifier _classifier;

    // Those of other functions are null.
    private readonly IgbReceiveQueue?[] _queues = new IgbReceiveQueue[IgbRegisters.Queues];
    private readonly byte[] _frame = new byte[IgbCore.LongestFrame + ShortestFrame];
    private int _length = -1;
    private IgbReceived _received;
    private bool _hasWaited;
    private uint _reported;
    private bool _isLow;

    internal IgbReceiveWork(IgbCore core, IgbPool pool)
        : base(pool.Function)
    {
        _core = core;
        _pool = pool;
        _memory = new IgbMemory(Bus, this);
        _registers = core.Registers;
        _control = _registers.CellOf(IgbRegister.Control);
        _receiveControl = _registers.CellOf(IgbRegister.ReceiveControl);
        _poolReceive = _registers.CellOf(IgbRegister.PoolReceive);
        _filter = new IgbFilter(_registers);
        _classifier = new IgbClassifier(_registers);
        for (int i = 0; i < _queues.Length; i++)
            _queues[i] = (pool.Queues >> i & 1) != 0 ? new IgbReceiveQueue(_registers, i) : null;
    }

    /// <inheritdoc/>
    protected internal override string Name => "igb receive";

    /// <summary>Forgets what a queue had begun: it is enabled, or disabled.</summary>
    internal void Restart(int queue) => _queues[queue]?.Restart();

    /// <inheritdoc/>
    protected override void Run()
    {
        bool any = true;
        while (any && !ShouldReturn && _pool.MayMaster)
        {
            any = false;
            if (!Enter())
                break;
            for (int i = 0; i < FramesAtOnce && TryPutNext(); i++)
                any = true;
            Report();
            Leave();
            _pool.WakeForDue();
        }
    }

    // Whether a frame left the packet buffer.
    private bool TryPutNext()
    {
        if (_length < 0 && !TryTake())
            return false;

        // It did not pass, or the table of hashes names a queue of another function: the next one may be put somewhere.
        if (!_core.MayReceive || _length == 0 || _queues[_received.Queue] is not { } queue)
        {
            _length = -1;
            return true;
        }

        bool isEnabled = queue.IsEnabled;
        int need = queue.Need(_length, _received.HeaderBytes);
        if (isEnabled && queue.Free >= need)
        {
            ReadOnlySpan<byte> frame = _frame.AsSpan(0, _length);
            queue.Put(_memory, frame, _received);
            _isLow |= queue.IsLow;
            Finish(queue.Number);
            return true;
        }

        if (isEnabled && !queue.DropsWhenEmpty && need <= queue.Capacity)
        {
            if (!_hasWaited)
                _core.Statistics.Count(IgbStatistic.NoBuffers);
            _hasWaited = true;
            return false;
        }

        _registers.Count(IgbRegister.ReceiveDropped, queue.Number, 1, uint.MaxValue, wraps: false);
        _length = -1;
        _hasWaited = false;
        return true;
    }

    // Takes a frame out and decides on it: its length is 0 when it is not for this station.
    private bool TryTake()
    {
        int length = _pool.Inbox.Take(_frame, out int route);
        if (length < 0)
            return false;
        _length = 0;
        if (!_core.MayReceive || length < HeaderBytes)
            return true;
        if (length < ShortestFrame)
        {
            _frame.AsSpan(length, ShortestFrame - length).Clear();
            length = ShortestFrame;
        }

        Span<byte> frame = _frame.AsSpan(0, length);
        if (route != 0)
        {
            TakeRouted(frame, route);
            return true;
        }

        _core.Statistics.CountArrival(length);
        if (_filter.IsTooLong(frame))
        {
            _core.Statistics.Count(IgbStatistic.Oversize);
            return true;
        }

        if (!_filter.Passes(frame))
            return true;
        _core.Statistics.CountReceived(frame);
        IgbPacket packet = IgbPacket.Parse(frame, (ushort)_registers[IgbRegister.VlanType]);
        _received = _classifier.Classify(frame, packet);
        bool stripsCheck = (_receiveControl.Value & StripCheck) != 0;
        Prepare(length, packet, stripsCheck, stripsVlan: (_control.Value & StripVlan) != 0);
        return true;
    }

    // The switch has decided already, unless VFRE was cleared since; the pool's VMOLR says how it is received.
    private void TakeRouted(Span<byte> frame, int route)
    {
        int pool = IgbRoute.PoolOf(route);
        if ((_poolReceive.Value >> pool & 1) == 0)
            return;
        uint offloads = (uint)_registers[IgbRegister.VirtualOffloads, pool];
        _pool.Statistics?.CountReceived(frame, IgbRoute.IsLocal(route));
        IgbPacket packet = IgbPacket.Parse(frame, (ushort)_registers[IgbRegister.VlanType]);
        _received = _classifier.Classify(frame, packet, IgbClassifier.HashesForPools);
        bool isSecond = (offloads & PoolHashes) != 0 && (_received.Queue & 1) != 0;
        _received.Queue = pool + (isSecond ? IgbRegisters.Pools : 0);
        Prepare(frame.Length, packet, (offloads & PoolStripsCheck) != 0, (offloads & PoolStripsVlan) != 0);
    }

    private void Prepare(int length, IgbPacket packet, bool stripsCheck, bool stripsVlan)
    {
        Span<byte> frame = _frame.AsSpan(0, length);
        int headers = _classifier.HeadersOf(frame, packet, _received.Queue);
        if (!stripsCheck)
        {
            BitConverter.TryWriteBytes(_frame.AsSpan(length), IgbChecksum.FrameCheck(frame));
            length += CheckBytes;
        }

        if (stripsVlan && _filter.IsTagged(frame))
        {
            _received.Vlan = (ushort)(frame[14] << 8 | frame[15]);
            _received.Status |= VlanPresent;
            _frame.AsSpan(16, length - 16).CopyTo(_frame.AsSpan(12));
            length -= VlanBytes;
            headers = Math.Max(0, headers - VlanBytes);
        }

        _received.HeaderBytes = _queues[_received.Queue]?.SplitAt(_frame.AsSpan(0, length), headers) ?? 0;
        _length = length;
    }

    private void Finish(int queue)
    {
        _reported |= 1u << queue;
        _length = -1;
        _hasWaited = false;
    }

    private void Report()
    {
        uint vectors = _pool.Interrupts.RaiseQueues(_reported, sent: 0);
        _reported = 0;
        if (_isLow)
        {
            _isLow = false;
            _core.Statistics.Count(IgbStatistic.BelowThreshold);
            vectors |= _pool.Interrupts.Raise(IgbInterrupts.BelowThreshold);
        }

        InterruptEach(vectors);
    }
}
