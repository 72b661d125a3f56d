using System.Diagnostics.CodeAnalysis;
using System.Text;
using Vfio.Abstractions;
using Vfio.Native.Memory;
using Vfio.Providers;
using Vfio.Tracing.Format;
using Vfio.Tracing.Recording;

namespace Vfio.Tracing;

/// <summary>A device that is traced: it stands before any other device, and records what its user does with it and what it does.</summary>
/// <remarks>
/// <para>Registers are not offered for mmap, and no doorbell is, unless <see cref="TraceOptions.AllowMapping"/> says so: an access by
/// mapping is
/// not seen. Interrupts pass through eventfds of its own unless <see cref="TraceOptions.SeesInterrupts"/> is off. What the device does
/// with memory
/// is seen with <see cref="TraceOptions.SeesDma"/>. A traced device is not handed over to another process.</para>
/// <para>Members may be called from any thread. It owns the device behind it, and not the trace.</para>
/// </remarks>
public sealed class TracedDevice : IVfioDevice
{
    private const int MaxConfigBytes = 4096, MaxFacts = 64, MaxNameBytes = 1024;
    private readonly IVfioDevice _inner;
    private readonly TraceSource _source;
    private readonly InterruptTap? _interrupts;

    /// <summary>Puts it before a device. Its regions, interrupts and config space are read now.</summary>
    /// <param name="inner">The device; owned.</param>
    /// <param name="trace">Where its events go.</param>
    /// <exception cref="VfioException">The device does not say what it is; it is disposed then.</exception>
    public TracedDevice(IVfioDevice inner, DeviceTrace trace)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(trace);
        _inner = inner;
        _source = new TraceSource(trace, trace.NextSession());
        try
        {
            Describe();
        }
        catch
        {
            inner.Dispose();
            throw;
        }

        if (trace.Options.SeesInterrupts)
            _interrupts = new InterruptTap(inner, "vfio trace interrupts", Interrupted, TimeProvider.System);
        inner.Restarted += () => _source.Add(TraceEventKind.Restarted);
        if (inner.TryGet(out IRemovalNotifier? notifier))
        {
            _ = notifier.Removed.ContinueWith(
                _ => _source.Add(TraceEventKind.Removed),
                CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
        }
    }

    /// <inheritdoc/>
    public event Action? Restarted
    {
        add => _inner.Restarted += value;
        remove => _inner.Restarted -= value;
    }

    /// <inheritdoc/>
    public string Name => _inner.Name;

    /// <inheritdoc/>
    public DeviceInfo Info => _inner.Info;

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => _inner.IovaRanges;

    /// <inheritdoc/>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        feature = null;
        Type asked = typeof(TFeature);

        // Nothing gives out the device behind it, whose accesses would not be recorded; and none is made of what was in memory meanwhile.
        bool passes = asked.IsInterface && asked != typeof(IVfioDevice) && asked != typeof(IHandoverDevice) && asked != typeof(IPolledRegisters);
        if (!passes || !_inner.TryGet(out TFeature? found))
            return false;
        feature = found switch
        {
            IMigratableDevice device when asked == typeof(IMigratableDevice) => new TracedMigration(device, _source) as TFeature,
            IDirtyTracker tracker when asked == typeof(IDirtyTracker) => new TracedDirtyTracker(tracker, _source) as TFeature,
            _ => found,
        };
        return feature is not null;
    }

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region)
    {
        RegionInfo info = _inner.GetRegion(region);
        return _source.Trace.Options.AllowMapping ? info : info with { Flags = info.Flags & ~RegionFlags.Map, File = null, MmapAreas = [] };
    }

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => _inner.GetInterrupt(index);

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) =>
        _source.Trace.Options.AllowMapping ? _inner.GetDoorbells(region) : [];

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        ulong before = _source.Trace.Now;
        try
        {
            _inner.ReadRegion(region, offset, destination);
        }
        catch (VfioException refusal)
        {
            _source.Add(TraceEventKind.Read, region.Value, offset, length: destination.Length, error: refusal.Errno);
            throw;
        }

        _source.AddRead(region, offset, destination, before);
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        _source.AddAccess(TraceEventKind.Write, region, offset, source);
        try
        {
            _inner.WriteRegion(region, offset, source);
        }
        catch (VfioException refusal)
        {
            _source.AddRefusal(refusal, TraceEventKind.Write, region.Value, offset, source.Length);
            throw;
        }
    }

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        ulong before = _source.Trace.Now;
        try
        {
            _inner.ReadRegions(reads, values);
        }
        catch (VfioException refusal)
        {
            foreach (RegisterRead read in reads)
                _source.Add(TraceEventKind.Read, read.Region.Value, read.Offset, length: read.Width, error: refusal.Errno);
            throw;
        }

        for (int i = 0; i < reads.Length; i++)
            _source.AddRead(reads[i].Region, reads[i].Offset, Blittable.AsBytes(ref values[i])[..reads[i].Width], before);
    }

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            _source.AddAccess(TraceEventKind.Write, write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }

        try
        {
            _inner.WriteRegions(writes);
        }
        catch (VfioException refusal)
        {
            _source.AddRefusal(refusal, TraceEventKind.Write, writes.IsEmpty ? 0 : writes[0].Region.Value, writes.IsEmpty ? 0 : writes[0].Offset);
            throw;
        }
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        AddRequest(request);
        try
        {
            if (_interrupts is null)
                _inner.SetInterrupts(request);
            else
                _interrupts.Set(request);
        }
        catch (VfioException refusal)
        {
            _source.AddRefusal(refusal, TraceEventKind.SetInterrupts, request.Index.Value, (ulong)request.Start, request.Count);
            throw;
        }
    }

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        _source.Add(TraceEventKind.Map, (uint)mapping.Access, mapping.Start.Value, mapping.Length);
        try
        {
            if (_source.Trace.Options.SeesDma)
                MapSeen(mapping);
            else
                _inner.MapDma(mapping);
        }
        catch (VfioException refusal)
        {
            _source.AddRefusal(refusal, TraceEventKind.Map, place: mapping.Start.Value);
            throw;
        }
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        _source.Add(TraceEventKind.Unmap, place: start.Value, value: length);
        try
        {
            return _inner.UnmapDma(start, length);
        }
        catch (VfioException refusal)
        {
            _source.AddRefusal(refusal, TraceEventKind.Unmap, place: start.Value);
            throw;
        }
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        _source.Add(TraceEventKind.UnmapAll);
        _inner.UnmapAllDma();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _source.Add(TraceEventKind.Reset);
        try
        {
            _inner.Reset();
        }
        catch (VfioException refusal)
        {
            _source.AddRefusal(refusal, TraceEventKind.Reset);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _source.Add(TraceEventKind.Close);
        _inner.Dispose();
        _interrupts?.Dispose();
    }

    private TimeSpan? Interrupted(InterruptIndex index, int vector)
    {
        _source.Add(TraceEventKind.Interrupt, index.Value, (ulong)vector);
        return TimeSpan.Zero;
    }

    private void MapSeen(in DmaMapping mapping)
    {
        TracedMemory memory = new(mapping, _source.Trace, _source.Session);
        try
        {
            _inner.MapDma(mapping with { Memory = memory });
        }
        finally
        {
            // The device has a reference of its own.
            memory.Release();
        }
    }

    private void AddRequest(in InterruptRequest request)
    {
        ulong value = (ulong)request.Action | (ulong)request.Data << 8;
        if (request.Data == InterruptData.None)
        {
            _source.Add(TraceEventKind.SetInterrupts, request.Index.Value, (ulong)request.Start, value, request.Count);
            return;
        }

        Span<byte> meant = stackalloc byte[VectorFlags.CountOf(request)];
        VectorFlags.Write(request, meant);
        TraceRecord record = new()
        {
            Kind = TraceEventKind.SetInterrupts,
            Time = _source.Trace.Now,
            Session = _source.Session,
            Number = request.Index.Value,
            Place = (ulong)request.Start,
            Value = value,
        };
        if (_source.Trace.Takes(record))
            _source.Trace.AddWhole(ref record, meant);
    }

    /// <summary>Records what the device is, so that a reader of the trace needs no device.</summary>
    private void Describe()
    {
        DeviceInfo info = _inner.Info;
        byte[] name = Encoding.UTF8.GetBytes(_inner.Name);
        _source.AddFact(
            TraceEventKind.Open, (uint)info.Flags, (ulong)info.RegionCount, (ulong)info.InterruptCount, name.AsSpan(0, Math.Min(name.Length, MaxNameBytes)));
        foreach (IovaRange range in _inner.IovaRanges.Take(MaxFacts))
            _source.AddFact(TraceEventKind.AddressRange, 0, range.Start.Value, range.Length);
        for (uint i = 0; i < Math.Min(info.RegionCount, MaxFacts); i++)
        {
            RegionInfo region = _inner.GetRegion(new RegionIndex(i));
            _source.AddFact(TraceEventKind.Region, i, (ulong)region.Flags, region.Length);
        }

        for (uint i = 0; i < Math.Min(info.InterruptCount, MaxFacts); i++)
        {
            InterruptInfo kind = _inner.GetInterrupt(new InterruptIndex(i));
            _source.AddFact(TraceEventKind.InterruptKind, i, (ulong)kind.Flags, (ulong)kind.Count);
        }

        if (!info.Flags.HasFlag(DeviceFlags.Pci))
            return;
        byte[] config = new byte[Math.Min(_inner.GetRegion(RegionIndex.Config).Length, MaxConfigBytes)];
        if (config.Length > 0)
            _inner.ReadRegion(RegionIndex.Config, 0, config);
        _source.AddFact(TraceEventKind.ConfigSpace, 0, 0, (ulong)config.Length, config);
    }
}
