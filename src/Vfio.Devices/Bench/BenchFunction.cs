using Vfio.Guard;
using Vfio.Native;

namespace Vfio.Devices.Bench;

/// <summary>A device to measure a server with (5646:5542): registers, memory that can be mapped, interrupts and DMA on demand.</summary>
/// <remarks>
/// <para>Everything short happens on the thread of the access, before it returns: a signal, and transfers of some megabytes of memory
/// that is there. The rest of a longer transfer, and one that needs an answer of the memory's owner for longer than a moment, is done by
/// a thread of its own: until it is over DMA_STATUS is EINPROGRESS (115), and another DMA_GO is ignored.</para>
/// <para>Its clients speak to it at once, without a system that would enumerate it, so it is lent with bus mastering on.</para>
/// </remarks>
public sealed class BenchFunction : SoftwareFunction
{
    /// <summary>How long a write of DMA_GO, and a read of its result, wait for a memory's owner: one that answers does so
    /// sooner.</summary>
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(30);

    private readonly BenchCore _core = new();
    private readonly MemoryBar _memory = new("vfio-bench", Registers.MemoryLength);
    private BenchMove? _move;
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
            Msix = new MsixDescription(Registers.Vectors, Bar: 0, Registers.VectorTable, Registers.VectorPending),
        })
    {
        AddBar(0, new Bar0(this));
        AddBar(2, _memory);
    }

    /// <summary>What the lender of this device should decide: it works for clients that never write config space.</summary>
    public static GuardPolicy Policy { get; } = new() { StartAsBusMaster = true };

    /// <inheritdoc/>
    public override bool CanMigrate => true;

    /// <inheritdoc/>
    protected override void OnStop() => _isStopped = true;

    /// <inheritdoc/>
    protected override void OnStart()
    {
        _isStopped = false;
        if (_move is { } move)
            Begin(move);
    }

    /// <inheritdoc/>
    protected override void OnSave(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        Collect();
        _core.Save(state);
        state.Write(_move is null ? (byte)0 : (byte)1);
        _move?.Save(state);
    }

    /// <inheritdoc/>
    protected override bool OnRestore(ref StateReader state)
    {
        if (!_core.TryRestore(ref state) || !state.TryRead(out byte due) || due > 1)
            return false;
        if (due == 0)
            return true;
        _move = BenchMove.TryRestore(this, _memory, ref state);
        return _move is not null;
    }

    /// <inheritdoc/>
    protected override void OnReset()
    {
        _move = null;
        _core.Reset();
        EndInterrupt();
    }

    /// <summary>Signals a vector by MSI-X, or vector 0 by a pulse on the pin when MSI-X is not in use.</summary>
    /// <returns>EINVAL: no such vector; ENOTCONN: nobody listens to it.</returns>
    private Errno Signal(uint vector)
    {
        if (vector >= Registers.Vectors)
            return Errno.InvalidArgument;
        bool isMessage = Slot.IsHeard(InterruptIndex.Msix, (int)vector);
        if (!isMessage && (vector != 0 || !Slot.IsHeard(InterruptIndex.Intx, 0)))
            return Errno.NotConnected;
        Interrupt((int)vector);
        if (!isMessage)
            EndInterrupt();
        return Errno.None;
    }

    /// <summary>Begins what the registers ask for, unless a transfer is under way.</summary>
    private void Go()
    {
        if (_move is not null)
            return;
        BenchMove move = new(this, _memory, _core.Transfer);
        _move = move;
        _core[BenchRegister.DmaStatus] = (ulong)Errno.InProgress;
        if (_isStopped)
            return;
        Begin(move);
        if (!move.IsOver && move.IsAtOwner)
        {
            move.WaitFor(Moment);
            Collect();
        }
    }

    /// <summary>Begins a transfer, or goes on with one whose thread stands still.</summary>
    private void Begin(BenchMove move)
    {
        move.RunAtOnce(Slot);
        if (move.IsOver)
            Collect();
        else
            move.Wake();
    }

    private void Collect()
    {
        if (_move is not { IsOver: true } move)
            return;
        _core.Finish(move.Result);
        _move = null;
    }

    /// <summary>BAR0: the core, and what it asks for.</summary>
    private sealed class Bar0(BenchFunction function) : BarContent
    {
        public override ulong Length => Registers.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            if (function._move is { } move)
            {
                if (move.IsAtOwner && !function._isStopped && BenchCore.Touches(BenchRegister.DmaStatus, offset, destination.Length))
                    move.WaitFor(Moment);
                function.Collect();
            }

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
