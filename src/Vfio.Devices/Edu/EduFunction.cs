using Vfio.Guard;
using Vfio.Native;

namespace Vfio.Devices.Edu;

/// <summary>QEMU's educational device (1234:11e8): <see cref="EduCore"/> with a lock, a bus and an interrupt.</summary>
/// <remarks>Factorials and transfers are done by a thread of the pool: a driver has to wait for them, as in QEMU.</remarks>
public sealed class EduFunction : SoftwareFunction, IThreadPoolWorkItem
{
    private readonly EduCore _core;
    private readonly Lock _gate = new();
    private readonly ManualResetEventSlim _isIdle = new(true);
    private readonly byte[] _moving = new byte[EduCore.BufferLength];
    private EduEffects _work;
    private bool _isQueued;
    private bool _isStopped;
    private int _epoch;

    /// <summary>Makes the device.</summary>
    /// <param name="dmaMask">The address bits that its DMA engine has; QEMU's <c>dma_mask</c>.</param>
    public EduFunction(ulong dmaMask = EduCore.DefaultDmaMask)
        : base(new FunctionDescription("edu", VendorId: 0x1234, DeviceId: 0x11e8)
        {
            RevisionId = 0x10,
            ClassCode = 0x00ff00,
            SubsystemVendorId = 0x1af4,
            SubsystemId = 0x1100,
            InterruptPin = 1,
            MsiVectors = 1,
        })
    {
        _core = new EduCore(dmaMask);
        AddBar(0, new Bar0(this));
    }

    /// <summary>Does what the registers asked for until nothing is left; called by the thread pool.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        while (TakeWork(out EduEffects work, out int epoch))
        {
            if (work == EduEffects.ComputeFactorial)
                Compute(epoch);
            else
                Move(epoch);
        }
    }

    /// <inheritdoc/>
    public override bool CanMigrate => true;

    /// <inheritdoc/>
    protected override void OnStop()
    {
        lock (_gate)
            _isStopped = true;

        // What is under way is finished; what is asked for stays in the registers.
        _isIdle.Wait();
    }

    /// <inheritdoc/>
    protected override void OnStart()
    {
        EduEffects work;
        lock (_gate)
        {
            _isStopped = false;
            work = _core.Unfinished;
        }

        if (work != EduEffects.None)
            Start(work);
    }

    /// <inheritdoc/>
    protected override void OnSave(StateWriter state)
    {
        lock (_gate)
            _core.Save(state);
    }

    /// <inheritdoc/>
    protected override bool OnRestore(ref StateReader state)
    {
        lock (_gate)
            return _core.TryRestore(ref state);
    }

    /// <inheritdoc/>
    protected override void OnReset()
    {
        lock (_gate)
        {
            _core.Reset();
            _work = EduEffects.None;
            _epoch++;
        }

        // What was under way may still be at the bus or at the interrupt.
        _isIdle.Wait();
        EndInterrupt();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            lock (_gate)
            {
                _work = EduEffects.None;
                _epoch++;
            }

            _isIdle.Wait();
        }

        base.Dispose(disposing);
    }

    private void Apply(EduEffects effects)
    {
        EduEffects work = effects & (EduEffects.ComputeFactorial | EduEffects.DoTransfer);
        if (work != EduEffects.None)
            Start(work);
        if ((effects & EduEffects.RaiseInterrupt) != 0)
            PublishInterrupt(true);
        else if ((effects & EduEffects.EndInterrupt) != 0)
            PublishInterrupt(false);
    }

    // A worker that raises and a driver that acknowledges may get here in either order: whoever comes last leaves the
    // pin as the register says.
    private void PublishInterrupt(bool raise)
    {
        while (true)
        {
            if (raise)
                Interrupt();
            else
                EndInterrupt();
            bool isRaised = raise;
            lock (_gate)
                raise = _core.IsInterrupting;
            if (raise == isRaised)
                return;
        }
    }

    private void Start(EduEffects work)
    {
        lock (_gate)
        {
            _work |= work;
            if (_isQueued || _isStopped)
                return;
            _isQueued = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private bool TakeWork(out EduEffects work, out int epoch)
    {
        lock (_gate)
        {
            work = _isStopped ? EduEffects.None : (_work & EduEffects.ComputeFactorial) != 0 ? EduEffects.ComputeFactorial : _work;
            _work &= ~work;
            epoch = _epoch;
            _isQueued = work != EduEffects.None;
            if (_isQueued)
                _isIdle.Reset();
            else
                _isIdle.Set();
            return _isQueued;
        }
    }

    private void Compute(int epoch)
    {
        uint operand;
        lock (_gate)
            operand = _core.Operand;
        uint result = EduCore.Factorial(operand);
        EduEffects effects = EduEffects.None;
        lock (_gate)
        {
            if (epoch == _epoch)
                effects = _core.FinishFactorial(result);
        }

        Apply(effects);
    }

    private void Move(int epoch)
    {
        EduTransfer transfer;
        Span<byte> bytes;
        lock (_gate)
        {
            // A reset since the work was taken cleared the registers: the transfer is then empty.
            transfer = _core.Transfer;
            bytes = _moving.AsSpan(0, transfer.Count);
            if (transfer.ToMemory)
                _core.ReadBuffer(transfer, bytes);
        }

        Errno refusal = transfer.Count == 0 ? Errno.None
            : transfer.ToMemory ? Slot.WriteMemory(transfer.Memory, bytes)
            : Slot.ReadMemory(transfer.Memory, bytes);
        if (transfer.ToMemory || refusal != Errno.None)
            bytes = [];
        EduEffects effects = EduEffects.None;
        lock (_gate)
        {
            if (epoch == _epoch)
                effects = _core.FinishTransfer(transfer, bytes);
        }

        Apply(effects);
    }

    /// <summary>BAR0: cuts accesses into naturally aligned ones and brings them to the core.</summary>
    private sealed class Bar0(EduFunction function) : BarContent
    {
        public override ulong Length => Registers.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            while (destination.Length > 0)
            {
                int width = NaturalWidth(offset, destination.Length);
                ulong value;
                lock (function._gate)
                    value = function._core.Read(offset, width);
                Blittable.AsBytes(ref value)[..width].CopyTo(destination);
                destination = destination[width..];
                offset += (ulong)width;
            }
        }

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
            while (source.Length > 0)
            {
                int width = NaturalWidth(offset, source.Length);
                ulong value = 0;
                source[..width].CopyTo(Blittable.AsBytes(ref value));
                EduEffects effects;
                lock (function._gate)
                    effects = function._core.Write(offset, width, value);
                function.Apply(effects);
                source = source[width..];
                offset += (ulong)width;
            }
        }

        private static int NaturalWidth(ulong offset, int left)
        {
            int width = 8;
            while (width > left || (offset & (ulong)(width - 1)) != 0)
                width >>= 1;
            return width;
        }
    }
}
