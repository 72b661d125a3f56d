using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Pci.Config;

namespace Vfio.Devices.Edu;

/// <summary>QEMU's educational device (1234:11e8): <see cref="EduCore"/> with a lock, a bus and an interrupt.</summary>
/// <remarks>Factorials and transfers are done by <see cref="EduWork"/>: a driver has to wait for them, as in QEMU.</remarks>
public sealed class EduFunction : EmulatedFunction
{
    private readonly EduCore _core;
    private readonly Lock _lock = new();
    private EduWork _work;

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
        _work = new EduWork(this, _core, _lock);
        AddBar(0, new Bar0(this));
    }

    /// <inheritdoc/>
    public override bool CanMigrate => true;

    /// <inheritdoc/>
    public override Errno Reset(ResetMethod method)
    {
        // What is under way finds nothing to finish, also while it is waited for.
        lock (_lock)
            _core.Reset();
        return base.Reset(method);
    }

    /// <inheritdoc/>
    protected override void OnStart()
    {
        EduEffects due;
        lock (_lock)
            due = _core.Unfinished;
        if (due != EduEffects.None)
            _work.Wake();
    }

    /// <inheritdoc/>
    protected override void OnSave(StateWriter state)
    {
        lock (_lock)
            _core.Save(state);
    }

    /// <inheritdoc/>
    protected override bool OnRestore(ref StateReader state)
    {
        lock (_lock)
            return _core.TryRestore(ref state);
    }

    /// <inheritdoc/>
    protected override void OnReset()
    {
        lock (_lock)
            _core.Reset();
        _work = new EduWork(this, _core, _lock);
        EndInterrupt();
    }

    private void Apply(EduEffects effects)
    {
        if ((effects & (EduEffects.ComputeFactorial | EduEffects.DoTransfer)) != 0)
            _work.Wake();
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
            lock (_lock)
                raise = _core.IsInterrupting;
            if (raise == isRaised)
                return;
        }
    }

    /// <summary>BAR0: cuts accesses into naturally aligned ones and brings them to the core.</summary>
    private sealed class Bar0(EduFunction function) : BarContent
    {
        public override ulong Length => EduRegisters.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            while (destination.Length > 0)
            {
                int width = AccessWidth.Natural(offset, destination.Length, 8);
                ulong value;
                lock (function._lock)
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
                int width = AccessWidth.Natural(offset, source.Length, 8);
                ulong value = 0;
                source[..width].CopyTo(Blittable.AsBytes(ref value));
                EduEffects effects;
                lock (function._lock)
                    effects = function._core.Write(offset, width, value);
                function.Apply(effects);
                source = source[width..];
                offset += (ulong)width;
            }
        }
    }
}
