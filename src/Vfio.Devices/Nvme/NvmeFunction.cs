using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>An NVMe controller with one namespace: <see cref="NvmeEngine"/> with registers, a thread, a bus and MSI-X.</summary>
/// <remarks>Commands are done by a thread of the pool, in the order of their queue. It has no interrupt pin.</remarks>
public sealed class NvmeFunction : SoftwareFunction, IThreadPoolWorkItem
{
    private const uint Enable = 0x1, ShutdownMask = 0xc000;
    private const uint Ready = 0x1, Fatal = 0x2, ShutdownComplete = 0x8;
    private readonly RegisterFile<NvmeRegister> _registers = new(Registers.Map);
    private readonly int[] _doorbells = new int[2 * (NvmeEngine.IoQueues + 1)];
    private readonly bool[] _vectors = new bool[NvmeEngine.IoQueues + 1];
    private readonly Lock _gate = new();
    private readonly ManualResetEventSlim _isIdle = new(true);
    private readonly NvmeStorage _storage;
    private readonly NvmeEngine _engine;
    private bool _isWanted;
    private bool _isQueued;

    private NvmeFunction(NvmeStorage storage)
        : base(new FunctionDescription("nvme", NvmeIdentity.VendorId, DeviceId: 0x0010)
        {
            RevisionId = 0x02,
            ClassCode = 0x010802,
            SubsystemVendorId = NvmeIdentity.SubsystemVendorId,
            SubsystemId = 0x1100,
            IsExpress = true,
            HasFlr = true,
            Msix = new MsixDescription(NvmeEngine.IoQueues + 1, Bar: 0, Registers.MsixTable, Registers.MsixPending),
        })
    {
        _storage = storage;
        _engine = new NvmeEngine(storage);
        _registers.OnWrite(NvmeRegister.Configuration, _ => Wake());
        AddBar(0, new Bar0(this), BarType.Memory64);
    }

    /// <summary>Makes a disk in memory, all zeros.</summary>
    /// <param name="length">Its size in bytes: above 0, a multiple of 512.</param>
    public static NvmeFunction InMemory(long length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % (1 << NvmeIdentity.BlockShift), 0, nameof(length));
        return new NvmeFunction(new MemoryStorage(length));
    }

    /// <summary>Makes a disk of a file, which is open until the function is disposed.</summary>
    /// <exception cref="IOException">It cannot be opened for reading and writing, or has less than one block.</exception>
    public static NvmeFunction OnImage(string path) => new(new FileStorage(path, 1 << NvmeIdentity.BlockShift));

    /// <summary>Does what registers and queues ask for until nothing is left; called by the thread pool.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        while (TakeWork())
        {
            while (Follow() && _engine.Step(Slot, _doorbells, _vectors))
                SendInterrupts();
            SendInterrupts();
        }
    }

    /// <inheritdoc/>
    protected override void OnReset() => Quiet();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _registers.Reset();
            Quiet();
            _storage.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Waits until the thread saw that the configuration register was reset.</summary>
    private void Quiet()
    {
        Wake();
        _isIdle.Wait();
    }

    private void Wake()
    {
        lock (_gate)
        {
            _isWanted = true;
            if (_isQueued)
                return;
            _isQueued = true;
            _isIdle.Reset();
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private bool TakeWork()
    {
        lock (_gate)
        {
            _isQueued = _isWanted;
            _isWanted = false;
            if (!_isQueued)
                _isIdle.Set();
            return _isQueued;
        }
    }

    /// <summary>Follows the configuration register: enable, disable, shutdown.</summary>
    /// <returns>Whether the controller takes commands.</returns>
    private bool Follow()
    {
        uint configuration = (uint)_registers[NvmeRegister.Configuration];
        if ((configuration & Enable) == 0)
        {
            if (_engine.IsEnabled)
                _engine.Disable();
            Array.Clear(_doorbells);
            _registers.Clear(NvmeRegister.Status, Ready | Fatal | ShutdownComplete);
            return false;
        }

        bool isFatal = (_registers[NvmeRegister.Status] & Fatal) != 0;
        if (!_engine.IsEnabled && !isFatal)
        {
            isFatal = !_engine.TryEnable(
                configuration,
                (uint)_registers[NvmeRegister.AdminQueueAttributes],
                new Iova(_registers[NvmeRegister.AdminSubmissionQueue]),
                new Iova(_registers[NvmeRegister.AdminCompletionQueue]));
            _registers.Set(NvmeRegister.Status, isFatal ? Fatal : Ready);
        }

        bool isShutDown = (_registers[NvmeRegister.Status] & ShutdownComplete) != 0;
        if ((configuration & ShutdownMask) == 0)
        {
            _registers.Clear(NvmeRegister.Status, ShutdownComplete);
            return !isFatal;
        }

        if (!isShutDown)
        {
            _engine.Flush();
            _registers.Set(NvmeRegister.Status, ShutdownComplete);
        }

        return false;
    }

    private void SendInterrupts()
    {
        for (int vector = 0; vector < _vectors.Length; vector++)
        {
            if (!_vectors[vector])
                continue;
            _vectors[vector] = false;
            Interrupt(vector);
        }
    }

    /// <summary>BAR0: registers, and doorbells above them. Doorbells are written as whole dwords and read as 0.</summary>
    private sealed class Bar0(NvmeFunction function) : BarContent
    {
        public override ulong Length => Registers.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            destination.Clear();
            int count = offset < Registers.Doorbells ? (int)Math.Min((ulong)destination.Length, Registers.Doorbells - offset) : 0;
            if (count > 0)
                function._registers.Read(offset, destination[..count]);
        }

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
            if (offset < Registers.Doorbells)
            {
                int count = (int)Math.Min((ulong)source.Length, Registers.Doorbells - offset);
                function._registers.Write(offset, source[..count]);
                return;
            }

            ulong doorbell = (offset - Registers.Doorbells) / sizeof(uint);
            if (offset % sizeof(uint) != 0 || source.Length != sizeof(uint) || doorbell >= (ulong)function._doorbells.Length)
                return;
            Volatile.Write(ref function._doorbells[doorbell], BinaryPrimitives.ReadUInt16LittleEndian(source));
            function.Wake();
        }

        public override void Reset() => function._registers.Reset();
    }
}
