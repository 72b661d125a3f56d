using System.Diagnostics.CodeAnalysis;
using Vfio.Abstractions;
using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Shared;
using Vfio.Native.Memory;
using Vfio.Pci.Validation;

namespace Vfio.Guard.Hardware;

/// <summary>The guard before a device that somebody else assigned: a function of <c>/dev/vfio</c>, or of a vfio-user server.</summary>
/// <remarks>
/// <para>The rules of config space, permits, limits and counters are the guard's. BARs' addresses, interrupts, DMA and reset are virtual below
/// it already: BAR pages are mapped from the same file, and eventfds are bound by the same call, as without a guard. The pages of the
/// MSI-X table are not mapped; accesses to it reach what is below, which keeps it.</para>
/// <para>Only the user's accesses reach registers of the vendor, and what lies between capabilities.</para>
/// <para>It has no migration: the state of the device below is bytes without a table, which would set what the rules do not let its user
/// set.</para>
/// <para>Any thread may call. Config space is written by one thread at a time.</para>
/// </remarks>
internal sealed class GuardedHardware : IVfioDevice, IDirtyTracker
{
    private readonly IVfioDevice _device;
    private readonly GuardPolicy _policy;
    private readonly Action<IReadOnlyCollection<OwnerValue>>? _restore;
    private readonly DeviceConfig _below;
    private readonly HardwareLayout _layout;
    private readonly GuardedConfig _config;
    private readonly RefusalCounter _refusals = new();
    private readonly RegionInfo _tableRegion;
    private readonly ConfigResets _resets;
    private readonly Dictionary<ulong, ulong> _mappings = [];
    private readonly Lock _configLock = new();
    private readonly Lock _mappingLock = new();
    private bool _isDisposed;

    /// <summary>Guards a device.</summary>
    /// <param name="device">The device; owned by this object from now on, also when this throws.</param>
    /// <param name="policy">The owner's decisions; null for the defaults, which are safe.</param>
    /// <param name="permits">What the owner permits beside the tables.</param>
    /// <param name="restore">Called when the device is closed, with what permitted registers held before their user wrote to them: a reset at
    /// close may have changed them since. Null when the owner has no other way to the function.</param>
    /// <exception cref="VfioException">ENOTTY: it cannot be reset; EINVAL: it is a bridge, or a permit is impossible; ENODEV: it is no PCI
    /// function.</exception>
    internal GuardedHardware(
        IVfioDevice device,
        GuardPolicy? policy = null,
        IReadOnlyList<ConfigPermit>? permits = null,
        Action<IReadOnlyCollection<OwnerValue>>? restore = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        _policy = policy ?? new GuardPolicy();
        _restore = restore;
        try
        {
            if (!device.Info.CanReset && !_policy.AllowWithoutReset)
            {
                throw new VfioException("open", device.Name, Errno.NoSuchOperation,
                    "it cannot be reset, so nobody knows what state it is in; its owner may allow that");
            }

            _below = new DeviceConfig(device);
            _layout = new HardwareLayout(device, _below);
            _resets = new ConfigResets(_layout.Capabilities, _below);
            _config = new GuardedConfig(_below, _layout.Rules, _layout.Known, [], _refusals);
            _config.Reset(byUser: false);
            if (_layout.MsixTable is { } table)
                _tableRegion = WithoutTable(device.GetRegion(RegionIndex.Bar(table.TableBar)), table);
            foreach (ConfigPermit permit in permits ?? [])
                Permit(permit);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    public string Name => _device.Name;

    public event Action? Restarted
    {
        add => _device.Restarted += value;
        remove => _device.Restarted -= value;
    }

    public DeviceInfo Info => _device.Info;

    public IReadOnlyList<IovaRange> IovaRanges => _device.IovaRanges;

    bool IDirtyTracker.TracksDirtyPages => Tracker.TracksDirtyPages;

    private IDirtyTracker Tracker => _device.TryGet(out IDirtyTracker? tracker)
        ? tracker
        : throw new VfioException("dirty tracking", Name, Errno.NoSuchOperation, "it keeps no record of what it writes");

    /// <summary>What was refused to the user.</summary>
    internal GuardRefusals Refusals => _refusals.Value;

    /// <summary>Lets the user access a dword that no table describes; see <see cref="GuardedFunction.Permit"/>.</summary>
    /// <exception cref="VfioException">EINVAL: the dword does not exist, or has bits that the guard keeps.</exception>
    internal void Permit(ConfigPermit permit)
    {
        lock (_configLock)
        {
            try
            {
                _layout.Permit(permit);
            }
            catch (ArgumentException impossible)
            {
                throw VfioException.FromArgument("permit", Name, impossible);
            }

            // A status bit has no value to be written back: to write it is to act.
            _below.Permit(permit.Offset, permit.WriteBits & ~_layout.Known.Status(permit.Offset, 4));
        }
    }

    /// <remarks>Features are interfaces; the device itself is not given out past the guard.</remarks>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        bool isBelow = typeof(TFeature).IsInterface && typeof(TFeature) != typeof(IVfioDevice);
        if (typeof(TFeature) == typeof(IMigratableDevice) || typeof(TFeature) == typeof(IHandoverDevice))
        {
            feature = null;
            return false;
        }

        if (isBelow && typeof(TFeature) != typeof(IDirtyTracker))
            return _device.TryGet(out feature);
        feature = isBelow && !_device.TryGet(out IDirtyTracker? _) ? null : this as TFeature;
        return feature is not null;
    }

    /// <remarks>The file is the device below: a server must not pass it on, past the guard.</remarks>
    public RegionInfo GetRegion(RegionIndex region)
    {
        RegionInfo info = _layout.MsixTable is { } table && region.Value == (uint)table.TableBar ? _tableRegion : _device.GetRegion(region);
        return (region.IsBar && _layout.IsTableLost ? Unmapped(info) : info) with { IsFilePrivate = true };
    }

    public InterruptInfo GetInterrupt(InterruptIndex index) => _device.GetInterrupt(index);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        if (region != RegionIndex.Config)
        {
            _device.ReadRegion(region, offset, destination);
            return;
        }

        CheckConfig("read", offset, destination.Length);
        if (_layout.ReadsThrough((int)offset, destination.Length))
        {
            // Most of them: nothing is kept here of what is read.
            _device.ReadRegion(region, offset, destination);
            return;
        }

        lock (_configLock)
            _config.Read((int)offset, destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        if (region != RegionIndex.Config)
        {
            _device.WriteRegion(region, offset, source);
            return;
        }

        CheckConfig("write", offset, source.Length);
        lock (_configLock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);

            // What a reset does to permitted registers it does too when the user makes it through config space.
            bool wasAsleep = _below.HasOwnerValues && _resets.Wakes((int)offset, source.Length);
            if (_layout.WritesThrough((int)offset, source.Length))
                _below.Write((int)offset, source);
            else
                _config.Write((int)offset, source);
            if (_below.HasOwnerValues && (_resets.IsAsked((int)offset, source) || (wasAsleep && _resets.HasWoken)))
                _below.Restore();
        }
    }

    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        // In their order, and config space by the rules: at once up to a read of it, which is rare.
        int done = 0;
        for (int i = 0; i < reads.Length; i++)
        {
            if (reads[i].Region != RegionIndex.Config)
                continue;
            _device.ReadRegions(reads[done..i], values[done..i]);
            values[i] = 0;
            ReadRegion(reads[i].Region, reads[i].Offset, Blittable.AsBytes(ref values[i])[..reads[i].Width]);
            done = i + 1;
        }

        _device.ReadRegions(reads[done..], values[done..]);
    }

    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        int done = 0;
        for (int i = 0; i < writes.Length; i++)
        {
            if (writes[i].Region != RegionIndex.Config)
                continue;
            _device.WriteRegions(writes[done..i]);
            ulong value = writes[i].Value;
            WriteRegion(writes[i].Region, writes[i].Offset, Blittable.AsBytes(ref value)[..writes[i].Width]);
            done = i + 1;
        }

        _device.WriteRegions(writes[done..]);
    }

    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => _device.GetDoorbells(region);

    public void SetInterrupts(in InterruptRequest request) => _device.SetInterrupts(request);

    public void MapDma(in DmaMapping mapping)
    {
        lock (_mappingLock)
        {
            if (_mappings.Count >= _policy.MaxDmaMappings)
            {
                throw new VfioException("mapping of memory", Name, Errno.NoMemory,
                    $"its owner allows {_policy.MaxDmaMappings} mappings; unmap one, or map larger ranges");
            }

            _device.MapDma(mapping);
            _mappings[mapping.Start.Value] = mapping.Length;
        }
    }

    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_mappingLock)
        {
            ulong unmapped = _device.UnmapDma(start, length);
            Forget(start.Value, length, unmapped);
            return unmapped;
        }
    }

    public void UnmapAllDma()
    {
        lock (_mappingLock)
        {
            _device.UnmapAllDma();
            _mappings.Clear();
        }
    }

    ulong IDirtyTracker.StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges) => Tracker.StartDirtyTracking(pageBytes, ranges);

    void IDirtyTracker.StopDirtyTracking() => Tracker.StopDirtyTracking();

    void IDirtyTracker.ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap) =>
        Tracker.ReportDirtyPages(start, length, pageBytes, bitmap);

    ulong IDirtyTracker.UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        lock (_mappingLock)
        {
            ulong unmapped = Tracker.UnmapDma(start, length, pageBytes, bitmap);
            Forget(start.Value, length, unmapped);
            return unmapped;
        }
    }

    public void Reset()
    {
        lock (_configLock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            try
            {
                _device.Reset();
            }
            finally
            {
                _below.Restore();
            }
        }
    }

    public void Dispose()
    {
        CloseSteps steps = new();
        IReadOnlyCollection<OwnerValue> values;
        lock (_configLock)
        {
            if (_isDisposed)
                return;
            _isDisposed = true;
            values = [.. _below.OwnerValues];
            if (values.Count > 0)
                steps.Do(_below.Restore);
        }

        steps.Do(_device.Dispose);
        if (values.Count > 0 && _restore is not null)
            steps.Do(() => _restore(values));
        steps.ThrowFault();
    }

    /// <summary>A region without the pages of the MSI-X table: its entries are programmed below.</summary>
    private static RegionInfo WithoutTable(RegionInfo region, MsixLocation table)
    {
        if (!region.IsMappable)
            return region;
        IReadOnlyList<MmapArea> areas = region.MmapAreas.Count > 0 ? region.MmapAreas : [new MmapArea(0, region.Length)];
        areas = MmapAreas.Without(areas, table.TableOffset, (ulong)table.Vectors * 16, (ulong)Environment.SystemPageSize);
        return areas.Count == 0 ? Unmapped(region) : region with { MmapAreas = areas };
    }

    private static RegionInfo Unmapped(RegionInfo region) => region with { Flags = region.Flags & ~RegionFlags.Map, File = null, MmapAreas = [] };

    private void CheckConfig(string verb, ulong offset, int count)
    {
        ulong length = (ulong)_config.Length;
        if (offset > length || (ulong)count > length - offset)
        {
            throw new VfioException(
                $"{verb} of {count} bytes of {RegionIndex.Config} at 0x{offset:x}", Name, Errno.InvalidArgument, $"it has 0x{length:x} bytes");
        }
    }

    private void Forget(ulong start, ulong length, ulong unmapped)
    {
        if (_mappings.TryGetValue(start, out ulong mapped) && mapped == unmapped)
        {
            _mappings.Remove(start);
            return;
        }

        foreach (ulong at in _mappings.Keys)
        {
            if (at >= start && at - start < length)
                _mappings.Remove(at);
        }
    }
}
