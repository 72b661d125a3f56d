using System.Buffers.Binary;
using Vfio.Abstractions;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Nvme;

/// <summary>An NVMe controller with one namespace: registers, doorbells and MSI-X in front of <see cref="NvmeEngine"/>.</summary>
/// <remarks>Each submission queue has a thread of its own: its commands are done in their order, and no queue waits for another's. A reset
/// of the controller abandons what is under way. It has no interrupt pin.</remarks>
public sealed class NvmeFunction : EmulatedFunction, IPolledRegisters
{
    private const uint Enable = 0x1, ShutdownMask = 0xc000;
    private const uint Ready = 0x1, Fatal = 0x2, ShutdownOccurring = 0x4, ShutdownComplete = 0x8;

    /// <summary>How long to wait for an image that the predecessor still has.</summary>
    private static readonly TimeSpan PredecessorTimeout = TimeSpan.FromSeconds(2);

    private readonly RegisterFile<NvmeRegister> _registers = new(NvmeRegisters.Map);
    private readonly int[] _doorbells = new int[2 * (NvmeEngine.IoQueues + 1)];
    private readonly NvmeDisk _disk;
    private NvmeEngine? _controller;
    private bool _isTaken;

    internal NvmeFunction(NvmeStorage storage)
        : base(new FunctionDescription("nvme", NvmeIdentity.VendorId, DeviceId: 0x0010)
        {
            RevisionId = 0x02,
            ClassCode = 0x010802,
            SubsystemVendorId = NvmeIdentity.SubsystemVendorId,
            SubsystemId = 0x1100,
            IsExpress = true,
            HasFlr = true,
            Msix = new MsixDescription(NvmeEngine.IoQueues + 1, Bar: 0, NvmeRegisters.MsixTable, NvmeRegisters.MsixPending),
        })
    {
        _disk = new NvmeDisk(storage);
        _registers.OnWrite(NvmeRegister.Configuration, _ => Follow());
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
    public static NvmeFunction OnImage(string path, bool isReadOnly = false) => OnImage(path, isReadOnly, isSuccessor: false);

    internal static NvmeFunction OnImage(string path, bool isReadOnly, bool isSuccessor) =>
        new(new FileStorage(path, isReadOnly, isSuccessor));

    /// <inheritdoc/>
    public override Errno Reset(ResetMethod method) => TakeImage() ? base.Reset(method) : Errno.Busy;

    /// <summary>Called by the flusher: the last writes are durable, or cannot be, which is a fatal status.</summary>
    internal void FinishShutdown(bool isDurable)
    {
        _registers.Clear(NvmeRegister.Status, ShutdownOccurring);
        _registers.Set(NvmeRegister.Status, isDurable ? ShutdownComplete : Fatal);
    }

    /// <inheritdoc/>
    protected override void OnReset() => Disable();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Disable();
            _disk.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Acts on the configuration register: enable, disable, shutdown.</summary>
    private void Follow()
    {
        uint configuration = (uint)_registers[NvmeRegister.Configuration];
        if ((configuration & Enable) == 0)
        {
            Disable();
            return;
        }

        if (_controller is null && (_registers[NvmeRegister.Status] & Fatal) == 0)
            Start(configuration);
        if (_controller is not { } controller)
            return;
        bool isShutDown = (configuration & ShutdownMask) != 0;
        if (isShutDown == controller.IsShutDown)
            return;
        if (isShutDown)
            _registers.Set(NvmeRegister.Status, ShutdownOccurring);
        else
            _registers.Clear(NvmeRegister.Status, ShutdownOccurring | ShutdownComplete);
        controller.SetShutDown(isShutDown);
    }

    private void Start(uint configuration)
    {
        Array.Clear(_doorbells);
        _controller = NvmeEngine.TryEnable(
            this,
            _disk,
            _doorbells,
            configuration,
            (uint)_registers[NvmeRegister.AdminQueueAttributes],
            new Iova(_registers[NvmeRegister.AdminSubmissionQueue]),
            new Iova(_registers[NvmeRegister.AdminCompletionQueue]));
        _registers.Set(NvmeRegister.Status, _controller is null ? Fatal : Ready);
    }

    /// <summary>Drops all queues and commands (section 7.3.2, controller level reset).</summary>
    private void Disable()
    {
        AbandonWork();
        _controller?.LeaveBehind();
        _controller = null;
        _registers.Clear(NvmeRegister.Status, Ready | Fatal | ShutdownOccurring | ShutdownComplete);
    }

    private bool TakeImage()
    {
        Deadline end = new(PredecessorTimeout);
        while (!_isTaken)
        {
            _isTaken = _disk.TryLock();
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
            if (offset % sizeof(uint) != 0 || source.Length != sizeof(uint) || doorbell >= (ulong)function._doorbells.Length)
                return;
            Volatile.Write(ref function._doorbells[doorbell], BinaryPrimitives.ReadUInt16LittleEndian(source));
            function._controller?.Ring((int)doorbell);
        }

        public override void Reset() => function._registers.Reset();
    }
}
