using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Vfio.Abstractions;
using Vfio.Providers;
using Vfio.Testing.Faults;

namespace Vfio.Testing;

/// <summary>A device that fails on request as hardware fails once a year.</summary>
/// <remarks>
/// <para>It stands before any other device. Registers are not offered for mmap, and no doorbell is: each access is a call, which can be
/// counted. Interrupts pass through eventfds of its own.</para>
/// <para>Members may be called from any thread. It owns the device behind it.</para>
/// </remarks>
public sealed class FaultyDevice : IVfioDevice, IRemovalNotifier
{
    private readonly IVfioDevice _inner;
    private readonly InterruptTap _interrupts;
    private readonly TaskCompletionSource _removed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ActiveFault[] _faults = [];
    private volatile bool _isUnplugged;

    /// <summary>Puts it before a device.</summary>
    /// <param name="inner">The device; owned.</param>
    /// <param name="clock">What delays of interrupts are measured by; the machine's clock unless given.</param>
    public FaultyDevice(IVfioDevice inner, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        _inner = inner;
        _interrupts = new InterruptTap(inner, "vfio faults", (_, _) => DelayOfInterrupt(), clock ?? TimeProvider.System);
        if (inner.TryGet(out IRemovalNotifier? notifier))
            _ = notifier.Removed.ContinueWith(Removes, TaskScheduler.Default);
    }

    /// <inheritdoc/>
    public event Action? Restarted
    {
        add => _inner.Restarted += value;
        remove => _inner.Restarted -= value;
    }

    /// <summary>Called with each access, before it is made and by the thread that makes it; also with those that a fault strikes.</summary>
    public event Action<DeviceAccess>? Accessed;

    /// <summary>Called with each mapping that the device took, by the thread that asked for it.</summary>
    public event Action<DmaMapping>? Mapped;

    /// <inheritdoc/>
    public string Name => _inner.Name;

    /// <inheritdoc/>
    public DeviceInfo Info => _inner.Info;

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => _inner.IovaRanges;

    /// <inheritdoc/>
    public Task Removed => _removed.Task;

    /// <summary>Whether it is gone.</summary>
    public bool IsUnplugged => _isUnplugged;

    /// <summary>Adds a fault, which counts events from now on.</summary>
    public void Add(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        lock (_removed)
            _faults = [.. _faults, new ActiveFault(fault)];
    }

    /// <summary>Takes all faults away; a device that is unplugged stays so.</summary>
    public void Clear() => _faults = [];

    /// <summary>Unplugs it now, as <see cref="Fault.Unplugs"/> does.</summary>
    public void Unplug()
    {
        lock (_removed)
        {
            if (_isUnplugged)
                return;
            _isUnplugged = true;
        }

        try
        {
            // What is gone does no DMA and interrupts nobody.
            if (_inner.Info.CanReset)
                _inner.Reset();
        }
        catch (VfioException)
        {
            // It is to be gone, and is past resetting.
        }

        _removed.TrySetResult();
    }

    /// <inheritdoc/>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        // Each access counts, so none is to be made of what was in memory meanwhile.
        if (typeof(TFeature) == typeof(IPolledRegisters))
        {
            feature = null;
            return false;
        }

        if (typeof(TFeature) != typeof(IRemovalNotifier))
            return _inner.TryGet(out feature);
        feature = (TFeature)(object)this;
        return true;
    }

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region)
    {
        RegionInfo info = _inner.GetRegion(region);
        return info with { Flags = info.Flags & ~RegionFlags.Map, File = null, MmapAreas = [] };
    }

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => _inner.GetInterrupt(index);

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => [];

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        Accessed?.Invoke(new DeviceAccess(false, region, offset, destination.Length));
        if (IsGone())
        {
            destination.Fill(0xff);
            return;
        }

        foreach (ActiveFault fault in _faults)
        {
            if (fault.Fault.Kind == FaultKind.Read && fault.Strikes(region, offset))
            {
                Answer(fault.Fault.Value, destination);
                return;
            }
        }

        _inner.ReadRegion(region, offset, destination);
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        Accessed?.Invoke(new DeviceAccess(true, region, offset, source.Length));
        if (IsGone())
            return;
        foreach (ActiveFault fault in _faults)
        {
            if (fault.Fault.Kind == FaultKind.LoseWrite && fault.Strikes(region, offset))
                return;
        }

        _inner.WriteRegion(region, offset, source);
    }

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        for (int i = 0; i < reads.Length; i++)
        {
            bytes.Clear();
            ReadRegion(reads[i].Region, reads[i].Offset, bytes[..reads[i].Width]);
            values[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        }
    }

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        foreach (RegisterWrite write in writes)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, write.Value);
            WriteRegion(write.Region, write.Offset, bytes[..write.Width]);
        }
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request) => _interrupts.Set(request);

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ThrowIf(FaultKind.RefuseDma, $"mapping {mapping.Length} bytes at {mapping.Start} for DMA");
        _inner.MapDma(mapping);
        Mapped?.Invoke(mapping);
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length) => _inner.UnmapDma(start, length);

    /// <inheritdoc/>
    public void UnmapAllDma() => _inner.UnmapAllDma();

    /// <inheritdoc/>
    public void Reset()
    {
        ThrowIf(FaultKind.FailReset, "reset");
        if (_isUnplugged)
            throw new VfioException("reset", Name, Errno.NoDevice, "it is unplugged");
        _inner.Reset();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inner.Dispose();
        _interrupts.Dispose();
        _removed.TrySetCanceled();
    }

    private static void Answer(ulong value, Span<byte> destination)
    {
        // Beyond a register's 8 bytes nothing answers.
        destination.Fill(0xff);
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        int count = Math.Min(bytes.Length, destination.Length);
        bytes[..count].CopyTo(destination);
    }

    private void Removes(Task removed)
    {
        if (removed.IsCanceled)
            _removed.TrySetCanceled();
        else
            _removed.TrySetResult();
    }

    /// <summary>Counts an access.</summary>
    private bool IsGone()
    {
        foreach (ActiveFault fault in _faults)
        {
            if (!_isUnplugged && fault.Fault.Kind == FaultKind.Unplug && fault.Strikes())
                Unplug();
        }

        return _isUnplugged;
    }

    private TimeSpan? DelayOfInterrupt()
    {
        if (_isUnplugged)
            return null;
        TimeSpan delay = TimeSpan.Zero;
        bool isLost = false;
        foreach (ActiveFault fault in _faults)
        {
            if (fault.Fault.Kind == FaultKind.LoseInterrupt)
                isLost |= fault.Strikes();
            else if (fault.Fault.Kind == FaultKind.LateInterrupt && fault.Strikes())
                delay = fault.Fault.Delay;
        }

        return isLost ? null : delay;
    }

    private void ThrowIf(FaultKind kind, string operation)
    {
        foreach (ActiveFault fault in _faults)
        {
            if (fault.Fault.Kind == kind && fault.Strikes())
                throw new VfioException(operation, Name, fault.Fault.Error, "a fault that was asked for");
        }
    }
}
