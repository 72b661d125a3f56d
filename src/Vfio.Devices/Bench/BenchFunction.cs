using System.Diagnostics;
using Vfio.Guard;
using Vfio.Native;

namespace Vfio.Devices.Bench;

/// <summary>A device to measure a server with (5646:5542): registers, memory that can be mapped, interrupts and DMA on demand.</summary>
/// <remarks>Everything happens on the thread of the access, before it returns.</remarks>
public sealed class BenchFunction : SoftwareFunction
{
    /// <summary>Bytes that go through the buffer at a time: it then stays in the cache of the core.</summary>
    private const int PieceBytes = 64 << 10;

    private readonly BenchCore _core = new();
    private readonly MemoryBar _memory = new("vfio-bench", Registers.MemoryLength);
    private byte[] _buffer = [];
    private bool _isStopped;
    private bool _isMoveDue;

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

    /// <summary>For a lender whose clients never write config space, as programs that measure: it masters the bus at once.</summary>
    public static GuardPolicy Policy { get; } = new() { StartAsBusMaster = true };

    /// <inheritdoc/>
    public override bool CanMigrate => true;

    /// <inheritdoc/>
    protected override void OnStop() => _isStopped = true;

    /// <inheritdoc/>
    protected override void OnStart()
    {
        _isStopped = false;
        if (_isMoveDue)
            Run();
    }

    /// <inheritdoc/>
    protected override void OnSave(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        _core.Save(state);
        state.Write(_isMoveDue ? (byte)1 : (byte)0);
    }

    /// <inheritdoc/>
    protected override bool OnRestore(ref StateReader state)
    {
        if (!_core.TryRestore(ref state) || !state.TryRead(out byte due) || due > 1)
            return false;
        _isMoveDue = due != 0;
        return true;
    }

    /// <inheritdoc/>
    protected override void OnReset()
    {
        _isMoveDue = false;
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

    /// <summary>Runs what the registers ask for, once the device may work.</summary>
    private void Run()
    {
        _isMoveDue = _isStopped;
        if (!_isStopped)
            _core.Finish(Run(_core.Transfer));
    }

    private BenchResult Run(in BenchTransfer transfer)
    {
        long start = Stopwatch.GetTimestamp();
        ulong bytes = 0;
        ulong distance = 0;
        int segments = 0;
        Errno error = transfer.Verdict;
        IPciSlot slot = Slot;
        DmaAccess access = AccessOf(transfer.Operation);
        for (uint i = 0; i < transfer.Repeats && error == Errno.None; i++)
        {
            Iova address = new(unchecked(transfer.Address + distance));
            error = slot.TranslateMemory(address, transfer.Length, access, out segments);
            if (error == Errno.None && transfer.Operation != BenchOperation.Translate)
                error = Move(transfer.Operation, address, (int)transfer.Length);
            if (error == Errno.None)
                bytes += transfer.Length;
            distance = transfer.After(distance);
        }

        return new BenchResult(error, segments, bytes, (ulong)Stopwatch.GetElapsedTime(start).TotalNanoseconds);
    }

    private static DmaAccess AccessOf(BenchOperation operation) =>
        operation is BenchOperation.Write or BenchOperation.MessageWrite ? DmaAccess.Write
        : operation == BenchOperation.Translate ? DmaAccess.None
        : DmaAccess.Read;

    private Errno Move(BenchOperation operation, Iova address, int length) => operation switch
    {
        BenchOperation.Write => FromMemoryBar(address, length, PieceBytes),
        BenchOperation.MessageWrite => FromMemoryBar(address, length, length),
        BenchOperation.MessageRead => ToMemoryBar(address, length, length),
        _ => ToMemoryBar(address, length, PieceBytes),
    };

    private Errno ToMemoryBar(Iova address, int length, int pieceBytes)
    {
        for (int done = 0; done < length;)
        {
            Span<byte> piece = Buffer(Math.Min(pieceBytes, length - done));
            Errno error = Slot.ReadMemory(new Iova(unchecked(address.Value + (ulong)done)), piece);
            if (error != Errno.None)
                return error;
            _memory.Write((ulong)done, piece);
            done += piece.Length;
        }

        return Errno.None;
    }

    private Errno FromMemoryBar(Iova address, int length, int pieceBytes)
    {
        for (int done = 0; done < length;)
        {
            Span<byte> piece = Buffer(Math.Min(pieceBytes, length - done));
            _memory.Read((ulong)done, piece);
            Errno error = Slot.WriteMemory(new Iova(unchecked(address.Value + (ulong)done)), piece);
            if (error != Errno.None)
                return error;
            done += piece.Length;
        }

        return Errno.None;
    }

    private Span<byte> Buffer(int bytes)
    {
        if (_buffer.Length < bytes)
            _buffer = GC.AllocateUninitializedArray<byte>(Math.Max(bytes, PieceBytes));
        return _buffer.AsSpan(0, bytes);
    }

    /// <summary>BAR0: the core, and what it asks for.</summary>
    private sealed class Bar0(BenchFunction function) : BarContent
    {
        public override ulong Length => Registers.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            if (BenchCore.Touches(BenchRegister.DmaMappings, offset, destination.Length))
                function._core[BenchRegister.DmaMappings] = (ulong)function.Slot.MappingCount;
            function._core.Read(offset, destination);
        }

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
            BenchCore core = function._core;
            BenchEffects effects = core.Write(offset, source);
            if (effects == BenchEffects.Signal)
                core[BenchRegister.InterruptStatus] = (ulong)function.Signal((uint)core[BenchRegister.Interrupt]);
            else if (effects == BenchEffects.Move)
                function.Run();
        }
    }
}
