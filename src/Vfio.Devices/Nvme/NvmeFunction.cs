using System.Buffers.Binary;
using Vfio.Abstractions;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Nvme;

/// <summary>An NVMe controller with its namespaces: registers, doorbells and MSI-X in front of <see cref="NvmeEngine"/>.</summary>
/// <remarks>Each submission queue has a thread of its own: its commands are done in their order, and no queue waits for another's. A reset
/// of the controller abandons what is under way. It has no interrupt pin.</remarks>
public sealed class NvmeFunction : EmulatedFunction, IPolledRegisters
{
    private const uint EnableBit = 0x1, ShutdownMask = 0xc000;
    private const uint Ready = 0x1, Fatal = 0x2, ShutdownOccurring = 0x4, ShutdownComplete = 0x8, SubsystemResetOccurred = 0x10;

    /// <summary>How long to wait for an image that the predecessor still has.</summary>
    private static readonly TimeSpan PredecessorTimeout = TimeSpan.FromSeconds(2);

    private readonly RegisterFile<NvmeRegister> _registers = new(NvmeRegisters.Map);
    private readonly int[] _doorbells = new int[2 * (NvmeEngine.IoQueues + 1)];
    private readonly NvmeDrive _drive;
    private NvmeEngine? _controller;
    private readonly bool _isSuccessor;
    private bool _isTaken;
    private bool _isPowered;
    private NvmeLockWork? _lock;

    /// <summary>Makes it.</summary>
    /// <param name="storage">Its blocks; owned, also when this throws.</param>
    /// <param name="settings">What the user chose; null for names of its own.</param>
    /// <param name="clock">The clock of hours, timestamps and Keep Alive.</param>
    /// <param name="isSuccessor">Whether it is to go on in place of one that another process still has.</param>
    internal NvmeFunction(NvmeStorage storage, NvmeSettings? settings = null, TimeProvider? clock = null, bool isSuccessor = false)
        : base(new FunctionDescription("nvme", NvmeIdentity.VendorId, NvmeIdentity.DeviceId)
        {
            RevisionId = 0x02,
            ClassCode = 0x010802,
            SubsystemVendorId = NvmeIdentity.VendorId,
            SubsystemId = NvmeIdentity.DeviceId,
            IsExpress = true,
            HasFlr = true,
            Msix = new MsixDescription(NvmeEngine.IoQueues + 1, Bar: 0, NvmeRegisters.MsixTable, NvmeRegisters.MsixPending),
        })
    {
        _isSuccessor = isSuccessor;
        try
        {
            _drive = new NvmeDrive(storage, settings ?? new NvmeSettings(NvmeNames.OfMemory()), clock ?? TimeProvider.System);
        }
        catch
        {
            storage.Dispose();
            throw;
        }

        _registers.OnWrite(NvmeRegister.Configuration, _ => Follow());
        _registers.OnWrite(NvmeRegister.SubsystemReset, ResetSubsystem);
        AddBar(0, new Bar0(this), BarType.Memory64);
    }

    /// <summary>Doorbells are only written, and the last value is the queue's; a queue has no entry with all bits set.</summary>
    bool IPolledRegisters.IsPolled(RegionIndex region, ulong page) => region == RegionIndex.Bar(0) && page == NvmeRegisters.Doorbells;

    /// <summary>Makes a disk in memory, all zeros.</summary>
    /// <param name="length">Its size in bytes: above 0, a multiple of 512.</param>
    public static NvmeFunction InMemory(long length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % 512, 0, nameof(length));
        return new NvmeFunction(new MemoryStorage(length));
    }

    /// <summary>Makes a disk of a raw image, or of a block device, which is open and locked until the function is disposed.</summary>
    /// <param name="path">The file. Its size stays as it is.</param>
    /// <param name="isReadOnly">Whether it is only read: writes end with "Namespace is Write Protected", and several processes may have
    /// it.</param>
    /// <exception cref="VfioException">EBUSY: another process has it, or it is mounted; EINVAL: it is neither file nor block device, or has
    /// less than one block; else why it cannot be opened.</exception>
    public static NvmeFunction OnImage(string path, bool isReadOnly = false) =>
        new(new FileStorage(path, isReadOnly, isSuccessor: false), new NvmeSettings(NvmeNames.OfImage(path)));

    /// <inheritdoc/>
    public override Errno Reset(ResetMethod method)
    {
        if (!TakeImage())
            return Errno.Busy;
        if (_controller is not null && (_registers[NvmeRegister.Status] & ShutdownComplete) == 0)
            _drive.Health.CountUnsafeShutdown();
        _isPowered = false;
        return base.Reset(method);
    }

    /// <summary>Called by the flusher: the last writes are durable, or cannot be, which is a fatal status.</summary>
    internal void FinishShutdown(bool isDurable)
    {
        _registers.Clear(NvmeRegister.Status, ShutdownOccurring);
        _registers.Set(NvmeRegister.Status, isDurable ? ShutdownComplete : Fatal);
    }

    /// <summary>Reports a fatal status.</summary>
    /// <param name="controller">Who reports it; of no effect when that was reset meanwhile.</param>
    internal void SetFatal(NvmeEngine controller)
    {
        if (_controller == controller)
            _registers.Set(NvmeRegister.Status, Fatal);
    }

    /// <summary>Whether a server may move it to another process: its blocks have to be there too.</summary>
    public override bool CanMigrate => _drive.Disk.IsShared;

    /// <inheritdoc/>
    internal override void OnAssign() => _drive.Disk.HasFailedBefore = false;

    /// <inheritdoc/>
    protected override void OnReset() => Disable();

    /// <summary>While it is stopped another process may take it over, which needs the image.</summary>
    protected override void OnStop()
    {
        if (_drive.Disk.IsShared)
            _isTaken = !_drive.Disk.TryLockShared() || _drive.Disk.IsReadOnly;
    }

    /// <inheritdoc/>
    protected override void OnStart()
    {
        // The predecessor has a shared lock too until it ends, and uses the image no more.
        _isTaken = _drive.Disk.TryLock();
        _lock = null;
        if (!_isTaken)
            BeginLock();
        _controller?.WakeAll();
    }

    /// <inheritdoc/>
    protected override void OnSave(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.Write(_isPowered);
        _drive.Save(state);
        state.Write(_controller is not null);
        _controller?.Save(state);
    }

    /// <inheritdoc/>
    protected override bool OnRestore(ref StateReader state)
    {
        StateWriter before = new();
        _drive.Save(before);
        if (TryRestore(ref state, out bool hasFailed))
        {
            _drive.Disk.HasFailedBefore = hasFailed;
            return true;
        }

        // The drive outlives this user: nothing of a state that is refused stays with it.
        Disable();
        StateReader back = new(before.Written);
        _ = _drive.TryRestore(ref back, out _);
        return false;
    }

    private bool TryRestore(ref StateReader state, out bool hasFailed)
    {
        hasFailed = false;
        if (!state.TryRead(out byte isPowered) || !_drive.TryRestore(ref state, out hasFailed) || !state.TryRead(out byte isEnabled))
            return false;
        _isPowered = isPowered != 0;
        if (isEnabled == 0)
            return true;
        Array.Clear(_doorbells);
        _controller = Enable();
        return _controller is not null && _controller.TryRestore(ref state, (_registers[NvmeRegister.Status] & ShutdownOccurring) != 0);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Disable();
            _drive.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Acts on the configuration register: enable, disable, shutdown.</summary>
    private void Follow()
    {
        uint configuration = (uint)_registers[NvmeRegister.Configuration];
        if ((configuration & EnableBit) == 0)
        {
            Disable();
            return;
        }

        if (_controller is null && (_registers[NvmeRegister.Status] & Fatal) == 0)
            Start();
        if (_controller is not { } controller)
            return;
        bool isShutDown = (configuration & ShutdownMask) != 0;
        if (isShutDown == controller.IsShutDown)
            return;
        if (isShutDown)
            _registers.Set(NvmeRegister.Status, ShutdownOccurring);
        controller.SetShutDown(isShutDown);

        // After the withdrawal: no shutdown completes any more.
        if (!isShutDown)
            _registers.Clear(NvmeRegister.Status, ShutdownOccurring | ShutdownComplete);
    }

    private NvmeEngine? Enable() => NvmeEngine.TryEnable(
        this,
        _drive,
        _doorbells,
        (uint)_registers[NvmeRegister.Configuration],
        (uint)_registers[NvmeRegister.AdminQueueAttributes],
        new Iova(_registers[NvmeRegister.AdminSubmissionQueue]),
        new Iova(_registers[NvmeRegister.AdminCompletionQueue]));

    private void Start()
    {
        Array.Clear(_doorbells);
        _controller = Enable();
        _registers.Set(NvmeRegister.Status, _controller is null ? Fatal : Ready);
        if (_isPowered || _controller is null)
            return;
        _isPowered = true;
        _drive.Health.CountPowerCycle();
    }

    /// <summary>NSSR: as a reset of the controller, with all registers as after power-on (section 3.7.1).</summary>
    private void ResetSubsystem(ulong written)
    {
        if (written != NvmeRegisters.SubsystemResetKey)
            return;
        Disable();
        _registers.Reset();
        _registers.Set(NvmeRegister.Status, SubsystemResetOccurred);
    }

    /// <summary>Drops all queues and commands (section 3.7.2, controller level reset).</summary>
    private void Disable()
    {
        AbandonWork();
        _controller?.LeaveBehind();
        _controller = null;

        // No work of the controller's.
        if (_lock is { IsLocked: false })
            BeginLock();
        _registers.Clear(NvmeRegister.Status, Ready | Fatal | ShutdownOccurring | ShutdownComplete);
    }

    private void BeginLock()
    {
        _lock = new NvmeLockWork(this, _drive.Disk);
        _lock.Wake();
    }

    private bool TakeImage()
    {
        Deadline end = new(PredecessorTimeout);
        while (!_isTaken)
        {
            // A predecessor that is stopped shares it.
            _isTaken = _drive.Disk.TryLock() || (_isSuccessor && _drive.Disk.TryLockShared());
            if (!_isTaken && end.HasPassed)
                return false;
            if (!_isTaken)
                Thread.Sleep(10);
        }

        return true;
    }

    /// <summary>BAR0: registers, and doorbells above them. Doorbells are written as whole dwords and read as 0.</summary>
    private sealed class Bar0(NvmeFunction function) : BarContent
    {
        private const ulong MsixStart = (NvmeRegisters.MsixTable - NvmeRegisters.Doorbells) / sizeof(uint);

        public override ulong Length => NvmeRegisters.BarLength;

        public override void Read(ulong offset, Span<byte> destination)
        {
            destination.Clear();
            int count = offset < NvmeRegisters.Doorbells ? (int)Math.Min((ulong)destination.Length, NvmeRegisters.Doorbells - offset) : 0;
            if (count > 0)
                function._registers.Read(offset, destination[..count]);
        }

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
            if (offset < NvmeRegisters.Doorbells)
            {
                int count = (int)Math.Min((ulong)source.Length, NvmeRegisters.Doorbells - offset);
                function._registers.Write(offset, source[..count]);
                return;
            }

            ulong doorbell = (offset - NvmeRegisters.Doorbells) / sizeof(uint);
            if (offset % sizeof(uint) != 0 || source.Length != sizeof(uint) || doorbell >= MsixStart)
                return;
            function._controller?.Ring((int)doorbell, BinaryPrimitives.ReadUInt16LittleEndian(source));
        }

        public override void Reset() => function._registers.Reset();

        public override void Save(StateWriter state) => function._registers.Save(state);

        public override bool TryRestore(ref StateReader state) => function._registers.TryRestore(ref state);
    }
}
