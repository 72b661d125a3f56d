using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>The thread that receives: takes frames from the packet buffer, filters them, and puts them into queues.</summary>
/// <remarks>A queue without a free descriptor holds up the frames behind, as in hardware, unless it drops. Nothing is allocated a
/// frame.</remarks>
internal sealed class IgbReceiveWork : DeviceWork
{
    private const int FramesAtOnce = 32, ShortestFrame = 60, CheckBytes = 4, HeaderBytes = 14, VlanBytes = 4;
    private const uint Enable = 1u << 1, StripCheck = 1u << 26, StripVlan = 1u << 30, VlanPresent = 1u << 3;
    private readonly IgbCore _core;
    private readonly RegisterFile<IgbRegister> _registers;
    private readonly RegisterCell _control;
    private readonly RegisterCell _receiveControl;
    private readonly IgbFilter _filter;
    private readonly IgbClassifier _classifier;
    private readonly IgbReceiveQueue[] _queues = new IgbReceiveQueue[IgbRegisters.Queues];
    private readonly byte[] _frame = new byte[IgbCore.LongestFrame + ShortestFrame];
    private int _length = -1;
    private IgbReceived _received;
    private bool _hasWaited;
    private uint _reported;
    private bool _isLow;

    internal IgbReceiveWork(IgbCore core)
        : base(core.Function)
    {
        _core = core;
        _registers = core.Registers;
        _control = _registers.CellOf(IgbRegister.Control);
        _receiveControl = _registers.CellOf(IgbRegister.ReceiveControl);
        _filter = new IgbFilter(_registers);
        _classifier = new IgbClassifier(_registers);
        for (int i = 0; i < _queues.Length; i++)
            _queues[i] = new IgbReceiveQueue(_registers, i);
    }

    /// <inheritdoc/>
    protected internal override string Name => "igb receive";

    private bool IsEnabled => (_receiveControl.Value & Enable) != 0;

    /// <summary>Forgets what a queue had begun: it is enabled, or disabled.</summary>
    internal void Restart(int queue) => _queues[queue].Restart();

    /// <inheritdoc/>
    protected override void Run()
    {
        bool any = true;
        while (any && !ShouldReturn && _core.MayMaster)
        {
            any = false;
            if (!Enter())
                break;
            for (int i = 0; i < FramesAtOnce && TryPutNext(); i++)
                any = true;
            Report();
            Leave();
            _core.WakeForDue();
        }
    }

    // Whether a frame left the packet buffer.
    private bool TryPutNext()
    {
        if (_length < 0 && !TryTake())
            return false;
        if (!IsEnabled)
        {
            _length = -1;
            return true;
        }

        if (_length == 0)
        {
            // It did not pass; the next may.
            _length = -1;
            return true;
        }

        IgbReceiveQueue queue = _queues[_received.Queue];
        bool isEnabled = queue.IsEnabled;
        int need = queue.Need(_length, _received.HeaderBytes);
        if (isEnabled && queue.Free >= need)
        {
            ReadOnlySpan<byte> frame = _frame.AsSpan(0, _length);
            queue.Put(Bus, frame, _received);
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
        int length = _core.Inbox.Take(_frame);
        if (length < 0)
            return false;
        _length = 0;
        if (!IsEnabled || length < HeaderBytes)
            return true;
        if (length < ShortestFrame)
        {
            _frame.AsSpan(length, ShortestFrame - length).Clear();
            length = ShortestFrame;
        }

        Span<byte> frame = _frame.AsSpan(0, length);
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
        int headers = _classifier.HeadersOf(frame, packet, _received.Queue);
        if ((_receiveControl.Value & StripCheck) == 0)
        {
            BitConverter.TryWriteBytes(_frame.AsSpan(length), IgbChecksum.FrameCheck(frame));
            length += CheckBytes;
        }

        if ((_control.Value & StripVlan) != 0 && _filter.IsTagged(frame))
        {
            _received.Vlan = (ushort)(frame[14] << 8 | frame[15]);
            _received.Status |= VlanPresent;
            _frame.AsSpan(16, length - 16).CopyTo(_frame.AsSpan(12));
            length -= VlanBytes;
            headers = Math.Max(0, headers - VlanBytes);
        }

        _received.HeaderBytes = _queues[_received.Queue].SplitAt(_frame.AsSpan(0, length), headers);
        _length = length;
        return true;
    }

    private void Finish(int queue)
    {
        _reported |= 1u << queue;
        _length = -1;
        _hasWaited = false;
    }

    private void Report()
    {
        uint vectors = _core.Interrupts.RaiseQueues(_reported, sent: 0);
        _reported = 0;
        if (_isLow)
        {
            _isLow = false;
            _core.Statistics.Count(IgbStatistic.BelowThreshold);
            vectors |= _core.Interrupts.Raise(IgbInterrupts.BelowThreshold);
        }

        for (; vectors != 0; vectors &= vectors - 1)
            Interrupt(System.Numerics.BitOperations.TrailingZeroCount(vectors));
    }
}
