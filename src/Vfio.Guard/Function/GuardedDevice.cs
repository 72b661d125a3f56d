using System.Numerics;
using System.Runtime.CompilerServices;
using Vfio.Abstractions;
using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Dma;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Migration;
using Vfio.Guard.Shared;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Function;

/// <summary>One lease of a guarded function: what its user holds.</summary>
internal sealed partial class GuardedDevice
    : IVfioDevice, IHandoverDevice, IDirtyTracker, IRemovalNotifier, IDmaFaultSource, IPolledRegisters, IResetTarget
{
    private const int Closed = 1, WasReset = 2, TakenAway = 4;
    private readonly GuardedFunction _function;
    private readonly OwnerState _owner;
    private readonly FunctionLock _functionLock;
    private readonly RefusalCounter _refusals;
    private readonly GuardedConfig _config;
    private readonly CommandRegister _command;
    private readonly PowerState? _power;
    private readonly MsiRegisters? _msi;
    private readonly MsixRegisters? _msix;
    private readonly GuardedBars _bars;
    private readonly GuardedInterrupts _interrupts;
    private readonly MessageHardware _messages;
    private readonly DmaTable _dma;
    private readonly Lazy<GuardedDoorbells> _doorbells;
    private readonly GuardedMigration _migration;
    private readonly GuardState _state;
    private volatile int _attention;

    internal GuardedDevice(GuardedFunction function, FunctionLayout layout, OwnerState owner, FunctionLock functionLock, RefusalCounter refusals)
    {
        _function = function;
        _owner = owner;
        _functionLock = functionLock;
        _refusals = refusals;
        _dma = new DmaTable(function.Policy.MaxDmaMappings);
        _interrupts = new GuardedInterrupts(layout, functionLock);
        _messages = new MessageHardware(layout, _interrupts);
        _bars = new GuardedBars(layout, _interrupts);
        _config = new GuardedConfig(layout, refusals);
        _config.Add(new VirtualBars(layout, _config.Shadow));
        _config.Add(_command = new CommandRegister(
            layout, _config.Shadow, owner, _interrupts, this, function.Policy.StartAsBusMaster));
        if (layout.PowerManagement != 0)
            _config.Add(_power = new PowerState(layout, _config.Shadow, this, _interrupts));
        if (layout.Msi != 0)
            _config.Add(_msi = new MsiRegisters(layout, _config.Shadow, _interrupts));
        if (layout.Msix != 0)
            _config.Add(_msix = new MsixRegisters(layout, _config.Shadow, _interrupts));
        if (layout.Express != 0)
            _config.Add(new ExpressControl(layout, _config.Shadow, this));
        if (layout.AdvancedFeatures != 0)
            _config.Add(new AdvancedFeaturesControl(layout, _config.Shadow, this));
        if (layout.Function.VirtualIds is { } ids)
            _config.Add(new VirtualIds(ids, _config.Shadow));
        _doorbells = new(() => new GuardedDoorbells(Name, functionLock, Ring));
        _config.Reset(byUser: false);
        _messages.Program();
        _state = new GuardState(layout, _config, _bars, _interrupts);
        _migration = new GuardedMigration(layout.Function, _state, _interrupts, Name, ResetAll);
    }

    public event Action<DmaFault>? DmaFaulted;

    public string Name => _function.Name;

    public DeviceInfo Info => new(
        DeviceFlags.Pci | (_function.CanReset ? DeviceFlags.Reset : DeviceFlags.None), RegionIndex.PciCount, InterruptIndex.PciCount);

    /// <summary>Whether its user may have mapped memory of it.</summary>
    internal bool HasShownMemory => _bars.HasShownMemory;

    internal GuardRefusals Refusals => _refusals.Value;

    public bool IsPolled(RegionIndex region, ulong page) =>
        _function.Layout.Function.TryGet(out IPolledRegisters? registers) && registers.IsPolled(region, page);

    public RegionInfo GetRegion(RegionIndex region)
    {
        if (region.Value >= RegionIndex.PciCount)
            throw new VfioException($"information on {region}", Name, Errno.InvalidArgument);
        if (region.Value <= RegionIndex.Rom.Value)
            return _bars.GetInfo(region);
        return region == RegionIndex.Config
            ? new RegionInfo(region, (ulong)_config.Length, RegionFlags.Read | RegionFlags.Write)
            : RegionInfo.Absent(region);
    }

    public InterruptInfo GetInterrupt(InterruptIndex index) => index.Value < InterruptIndex.PciCount
        ? _interrupts.GetInfo(index)
        : throw new VfioException($"information on {index}", Name, Errno.InvalidArgument);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        Check("read", region, offset, destination.Length);
        if (region == RegionIndex.Config)
            _config.Read((int)offset, destination);
        else
            _bars.Read(region, offset, destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        Write(region, offset, source);
    }

    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        CheckNotLocked();
        bool isThere = region.IsBar && GetRegion(region).Length > 0;
        IReadOnlyList<Doorbell> offered = isThere ? _function.Layout.Function.GetDoorbells(region) : [];
        return offered.Count == 0 ? [] : _doorbells.Value.Get(region, offered);
    }

    public void SetInterrupts(in InterruptRequest request)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        CheckNotLocked();
        bool isDone = request.IsDisable;
        try
        {
            Errno error = request.Index.Value < InterruptIndex.PciCount ? _interrupts.Set(request, _messages) : Errno.InvalidArgument;
            if (error != Errno.None)
                ThrowRefused(request, error);
            isDone |= request is { Action: InterruptAction.Trigger, Data: InterruptData.Events };
        }
        finally
        {
            // A kind that is disabled is off, even if the function does not take the write.
            if (isDone)
                Show(request.Index);
        }
    }

    public void MapDma(in DmaMapping mapping)
    {
        CheckOpen();
        Errno error = _dma.Map(mapping);
        if (IsClosed)
        {
            // Closed meanwhile, perhaps after its memory was released: this mapping would keep its memory for ever.
            _dma.Clear();
            CheckOpen();
        }

        if (error != Errno.None)
            throw new VfioException($"mapping of 0x{mapping.Length:x} bytes at {mapping.Start}", Name, error);
    }

    public ulong UnmapDma(Iova start, ulong length)
    {
        CheckOpen();
        Errno error = _dma.Unmap(start, length, out ulong unmapped);
        return error == Errno.None ? unmapped : throw new VfioException($"unmapping of 0x{length:x} bytes at {start}", Name, error);
    }

    public void UnmapAllDma()
    {
        CheckOpen();
        _dma.Clear();
    }

    public void Reset()
    {
        using FunctionLock.Scope held = _functionLock.Take();
        CheckOpen();
        if (!_function.CanReset)
            throw new VfioException("reset", Name, Errno.NoSuchOperation, "the function has no way to be reset");

        // This reset also does what a reset of the function's own left to do.
        Interlocked.And(ref _attention, ~WasReset);
        ResetAll();
        _migration.AfterReset();
    }

    public MigrationFeatures Migration => _migration.Features;

    public MigrationState MigrationState
    {
        get
        {
            using FunctionLock.Scope held = _functionLock.Take();
            CheckOpen();
            return Migration != MigrationFeatures.None
                ? _migration.State
                : throw new VfioException("migration", Name, Errno.NoSuchOperation, "the device cannot save its state");
        }
    }

    public void SetMigrationState(MigrationState target)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        CheckNotLocked();
        _migration.Set(target);
    }

    public int ReadMigrationData(Span<byte> destination)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        CheckOpen();
        return _migration.Read(destination);
    }

    public void WriteMigrationData(ReadOnlySpan<byte> source)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        CheckOpen();
        _migration.Write(source);
    }

    public bool TracksDirtyPages => true;

    public ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges)
    {
        CheckOpen();
        Errno error = BitOperations.IsPow2(pageBytes) ? _dma.StartLog() : Errno.InvalidArgument;
        return error == Errno.None
            ? DmaTable.PageBytes
            : throw new VfioException($"tracking of pages of 0x{pageBytes:x} bytes", Name, error);
    }

    public void StopDirtyTracking()
    {
        CheckOpen();
        _dma.StopLog();
    }

    public void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        CheckOpen();
        Errno error = _dma.ReportLog(start, length, pageBytes, bitmap);
        if (error != Errno.None)
            throw new VfioException($"report on 0x{length:x} bytes at {start}", Name, error);
    }

    public ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        CheckOpen();
        Errno error = _dma.Unmap(start, length, pageBytes, bitmap, out ulong unmapped);
        return error == Errno.None ? unmapped : throw new VfioException($"unmapping of 0x{length:x} bytes at {start}", Name, error);
    }

    internal Errno ReadMemory(Iova address, Span<byte> destination)
    {
        Errno error = MayUseMemory ? _dma.Read(address, destination) : Errno.OperationNotPermitted;
        if (error != Errno.None)
            Refuse(new DmaFault(address, destination.Length, IsWrite: false, error));
        return error;
    }

    internal Errno WriteMemory(Iova address, ReadOnlySpan<byte> source)
    {
        Errno error = MayUseMemory ? _dma.Write(address, source) : Errno.OperationNotPermitted;
        if (error != Errno.None)
            Refuse(new DmaFault(address, source.Length, IsWrite: true, error));
        return error;
    }

    internal Errno TranslateMemory(Iova address, ulong length, DmaAccess access, out int segments)
    {
        segments = 0;
        return MayMaster ? _dma.Translate(address, length, access, out segments) : Errno.OperationNotPermitted;
    }

    internal int MappingCount => _dma.Count;

    private void Refuse(in DmaFault fault)
    {
        _refusals.AddDmaAccess();
        DmaFaulted?.Invoke(fault);
    }

    internal bool HasListener(InterruptIndex kind, int vector) =>
        (kind == InterruptIndex.Intx ? _power is not { IsAsleep: true } : MayMaster) && _interrupts.IsBound(kind, vector);

    /// <summary>A message is a write to memory, so it needs bus mastering.</summary>
    internal void Message(InterruptIndex kind, int vector)
    {
        // A restored function may have messages pending before its Command register is restored: they are held back until all is restored.
        if (MayMaster || _migration.IsRestoring)
            _interrupts.Fire(kind, vector);
    }

    internal void SetPin(bool asserted) => _interrupts.SetPin(asserted);

    internal void Notify(InterruptIndex kind) => _interrupts.Fire(kind, 0);

    internal void Flush() => _interrupts.Flush();

    private bool MayMaster
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _command.IsBusMaster && _power is not { IsAsleep: true };
    }

    private bool MayUseMemory => MayMaster && !_migration.IsStopped;

    /// <summary>Does the write for which a doorbell's signal stands. Its failure has no receiver, except for a fault of the
    /// function.</summary>
    private void Ring(RegionIndex region, Doorbell bell)
    {
        ulong value = bell.Match ?? 0;
        try
        {
            Write(region, bell.Offset, Blittable.AsBytes(ref value)[..bell.Width]);
        }
        catch (VfioException)
        {
            // Signalled while decoding is off: on a bus the write would have no effect either.
        }
        catch (Exception)
        {
            // A fault of the function's code. No caller could handle it, and it must not end this process.
            _interrupts.Fire(InterruptIndex.Error, 0);
        }
    }

    private void Write(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        Check("write", region, offset, source.Length);
        if (region == RegionIndex.Config)
            _config.Write((int)offset, source);
        else if (region == RegionIndex.Rom)
            throw new VfioException($"write of {region}", Name, Errno.InvalidArgument, "it can only be read");
        else
            _bars.Write(region, offset, source);
    }

    private bool IsClosed => (_attention & Closed) != 0;

    private void CheckOpen()
    {
        if (IsClosed)
            ThrowClosed();
    }

    private void ThrowClosed() => throw ((_attention & TakenAway) != 0
        ? new VfioException("use", Name, Errno.NoDevice, "it was removed: its owner took it away; dispose it")
        : new ObjectDisposedException(GetType().FullName));

    /// <summary>Checks that it is open, and that the function is as the shadows say.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void CheckNotLocked()
    {
        if (_attention != 0)
            Attend();
    }

    private void Show(InterruptIndex index)
    {
        if (index == InterruptIndex.Msi)
            _msi?.Show();
        if (index == InterruptIndex.Msix)
            _msix?.Show();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Check(string verb, RegionIndex region, ulong offset, int count)
    {
        CheckNotLocked();
        ulong length = LengthOf(region);
        if (offset > length || (ulong)count > length - offset || length == 0)
            ThrowOutside(verb, region, offset, count, length);

        // The ROM's content needs no decoding: nothing else answers at a ROM's address.
        if ((region.IsBar && !_command.Decodes(region)) || (region != RegionIndex.Config && _power is { IsAsleep: true }))
            ThrowDecodeOff(verb, region, offset);
    }

    private ulong LengthOf(RegionIndex region) => region.Value <= RegionIndex.Rom.Value ? _bars.GetLength(region)
        : region == RegionIndex.Config ? (ulong)_config.Length : 0;

    private void ThrowOutside(string verb, RegionIndex region, ulong offset, int count, ulong length) => throw new VfioException(
        $"{verb} of {count} bytes of {region} at 0x{offset:x}", Name, Errno.InvalidArgument, $"it has 0x{length:x} bytes");

    private void ThrowDecodeOff(string verb, RegionIndex region, ulong offset) => throw new VfioException(
        $"{verb} of {region} at 0x{offset:x}", Name, Errno.InputOutput,
        _power is { IsAsleep: true } ? "the function is not in D0" : "decoding is off in the Command register");

    private void ThrowRefused(in InterruptRequest request, Errno error) => throw new VfioException(
        $"{request.Action} by {request.Data} of {request.Index} vectors {request.Start} to {request.Start + (long)request.Count - 1}",
            Name, error);
}
