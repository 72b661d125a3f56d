using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>The thread that sends: takes turns over the transmit queues.</summary>
/// <remarks>All that has an effect is done in sections, so that nothing of it comes after a reset: a frame is gathered and its
/// descriptors are written back, each frame or segment leaves, interrupts are raised. Nothing is allocated a frame.</remarks>
internal sealed class IgbTransmitWork : DeviceWork
{
    private const int FramesAtOnce = 32;
    private readonly IgbCore _core;
    private readonly IgbPool _pool;
    private readonly IgbMemory _memory;

    // Those of other functions are null.
    private readonly IgbTransmitQueue?[] _queues = new IgbTransmitQueue[IgbRegisters.Queues];
    private readonly IgbSegmenter _segmenter;

    internal IgbTransmitWork(IgbCore core, IgbPool pool)
        : base(pool.Function)
    {
        _core = core;
        _pool = pool;
        _memory = new IgbMemory(Bus, this);
        _segmenter = new IgbSegmenter();
        for (int i = 0; i < _queues.Length; i++)
            _queues[i] = (pool.Queues >> i & 1) != 0 ? new IgbTransmitQueue(core.Registers, i) : null;
    }

    /// <inheritdoc/>
    protected internal override string Name => "igb transmit";

    /// <summary>Forgets what a queue had begun: it is enabled, or disabled.</summary>
    internal void Restart(int queue) => _queues[queue]?.Restart();

    /// <inheritdoc/>
    protected override void Run()
    {
        bool any = true;
        while (any && !ShouldReturn && _pool.MayMaster)
        {
            any = false;
            uint sent = 0;
            foreach (IgbTransmitQueue? queue in _queues)
            {
                if (queue is null || !_core.MaySend(queue.Number))
                    continue;
                for (int i = 0; i < FramesAtOnce && !ShouldReturn && TrySendNext(queue, ref sent); i++)
                    any = true;
            }

            Report(sent);
        }
    }

    private bool TrySendNext(IgbTransmitQueue queue, ref uint reported)
    {
        if (!Enter())
            return false;
        IgbTransmitQueue.Step step = queue.Advance(_memory);
        Leave();
        if (step.IsReported)
            reported |= 1u << queue.Number;
        if (step.Length > 0)
            Finish(step, queue.Number, queue.Gathered[..step.Length]);
        return step.IsAny;
    }

    private void Finish(in IgbTransmitQueue.Step step, int queue, Span<byte> frame)
    {
        if (!step.IsSegmented)
        {
            if (IgbOffloads.Apply(frame, step.Offload))
                Send(queue, frame, step.Vlan);
            return;
        }

        bool goesOn = _segmenter.Begin(frame, step.Offload);
        if (goesOn)
            _core.Statistics.Count(IgbStatistic.Segmentations);
        while (goesOn && !ShouldReturn && _segmenter.TryNext(frame, out Span<byte> segment))
            goesOn = Send(queue, segment, step.Vlan);
    }

    private bool Send(int queue, ReadOnlySpan<byte> frame, ushort? vlan)
    {
        if (!Enter())
            return false;
        _core.Transmit(_pool, queue, frame, vlan, (ushort)_core.Registers[IgbRegister.VlanType]);
        Leave();
        return true;
    }

    private void Report(uint sent)
    {
        if (sent == 0 || !Enter())
            return;
        InterruptEach(_pool.Interrupts.RaiseQueues(received: 0, sent));
        Leave();
        _pool.WakeForDue();
    }
}
