using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Bench;

/// <summary>A device to measure a server with (5646:5542): registers, memory that can be mapped, interrupts and DMA on demand.</summary>
/// <remarks>
/// <para>Everything short happens on the thread of the access, before it returns: a signal, and transfers of some megabytes of memory
/// that is there. The rest of a longer transfer, and one that needs answers of the memory's owner, is done by a thread of its own. An
/// owner is waited for until it asks for something else, or for a second. Until a transfer is over DMA_STATUS is EINPROGRESS
/// (115), and another DMA_GO is ignored.</para>
/// </remarks>
public sealed class BenchFunction : EmulatedFunction
{
    /// <summary>How long a write of DMA_GO waits for a memory's owner that asks for nothing else: one that answers does so sooner.</summary>
    private static readonly TimeSpan OwnerTimeout = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(30), Moment = TimeSpan.FromMilliseconds(2);

    private readonly BenchCore _core = new();
    private readonly MemoryBar _memory = new("vfio-bench", BenchRegisters.MemoryLength);
    private BenchWork _work;
    private bool _isMoving;
    private bool _isStopped;

    /// <summary>Makes the device.</summary>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    public BenchFunction()
        : base(new FunctionDescription("bench", VendorId: 0x5646, DeviceId: 0x5542)
        {
            ClassCode = 0xff0000,
            SubsystemVendorId = 0x5646,
            SubsystemId = 0x0001,
            InterruptPin = 1,
            Msix = new MsixDescription(BenchRegisters.Vectors, Bar: 0, BenchRegisters.VectorTable, BenchRegisters.VectorPending),
        })
    {
        _work = new BenchWork(this, _memory);
        AddBar(0, new Bar0(this));
        AddBar(2, _memory);
    }

    /// <summary>For a provider whose clients never write config space, as programs that measure: it masters the bus at once.</summary>
    public static GuardPolicy Policy { get; } = new() { StartAsBusMaster = true };

    /// <inheritdoc/>
    public override bool CanMigrate => true;

    /// <inheritdoc/>
    protected override void OnStop() => _isStopped = true;

    /// <inheritdoc/>
    protected override void OnStart()
    {
        _isStopped = false;
        _work.Begin(Slot);
        Collect();
    }

    /// <inheritdoc/>
    protected override void OnSave(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        Collect();
        _core.Save(state);
        state.Write(_isMoving ? (byte)1 : (byte)0);
        if (_isMoving)
            _work.Save(state);
    }

    /// <inheritdoc/>
    protected override bool OnRestore(ref StateReader state)
    {
        if (!_core.TryRestore(ref state) || !state.TryRead(out byte due) || due > 1)
            return false;
        _isMoving = due != 0;
        return !_isMoving || _work.TryRestore(ref state);
    }

    /// <inheritdoc/>
    protected override void OnReset()
    {
        _work = new BenchWork(this, _memory);
        _isMoving = false;
        _core.Reset();
        EndInterrupt();
    }

    /// <summary>Signals a vector by MSI-X, or vector 0 by a pulse on the pin when MSI-X is not in use.</summary>
    /// <returns>EINVAL: no such vector; ENOTCONN: nobody listens to it.</returns>
    private Errno Signal(uint vector)
    {
        if (vector >= BenchRegisters.Vectors)
            return Errno.InvalidArgument;
        bool isMessage = Slot.HasListener(InterruptIndex.Msix, (int)vector);
        if (!isMessage && (vector != 0 || !Slot.HasListener(InterruptIndex.Intx, 0)))
            return Errno.NotConnected;
        Interrupt((int)vector);
        if (!isMessage)
            EndInterrupt();
        return Errno.None;
    }

    /// <summary>Begins what the registers ask for, unless a transfer is under way.</summary>
    private void Go()
    {
        if (_isMoving)
            return;
        _isMoving = true;
        _work.Take(_core.Transfer);
        _core[BenchRegister.DmaStatus] = (ulong)Errno.InProgress;
        if (_isStopped)
            return;
        _work.Begin(Slot);
        if (_work.IsAtOwner)
            WaitForOwner();
        Collect();
    }

    private void WaitForOwner()
    {
        Deadline end = new(OwnerTimeout);
        bool isAsking = false;
        while (!_work.IsOver && !end.HasPassed)
        {
            _work.WaitFor(Moment);
            if (isAsking || !Slot.IsOwnerAsking(_work.Start))
                continue;

            // It may have asked before it saw that it is asked itself.
            isAsking = true;
            end = new Deadline(Grace);
        }
    }

    private void Collect()
    {
        if (!_isMoving || !_work.IsOver)
            return;
        _core.Finish(_work.Result);
        _isMoving = false;
    }

    /// <summary>BAR0: the core, and what it asks for.</summary>
    private sealed class Bar0(BenchFunction function) : BarContent
    {
        public override ulong Length => BenchRegisters.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            function.Collect();
            if (BenchCore.Touches(BenchRegister.DmaMappings, offset, destination.Length))
                function._core[BenchRegister.DmaMappings] = (ulong)function.Slot.MappingCount;
            function._core.Read(offset, destination);
        }

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
            function.Collect();
            BenchCore core = function._core;
            BenchEffects effects = core.Write(offset, source);
            if (effects == BenchEffects.Signal)
                core[BenchRegister.InterruptStatus] = (ulong)function.Signal((uint)core[BenchRegister.Interrupt]);
            else if (effects == BenchEffects.Move)
                function.Go();
        }
    }
}
