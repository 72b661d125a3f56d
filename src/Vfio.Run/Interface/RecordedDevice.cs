using System.Diagnostics.CodeAnalysis;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>A device whose use is recorded.</summary>
/// <param name="device">The device; owned by this object.</param>
/// <param name="name">Its name in the record.</param>
/// <param name="record">The record.</param>
internal sealed class RecordedDevice(IVfioDevice device, string name, RunRecord record) : IVfioDevice
{
    /// <inheritdoc/>
    public event Action? Restarted
    {
        add => device.Restarted += value;
        remove => device.Restarted -= value;
    }

    /// <summary>Whether it is closed.</summary>
    internal bool IsDisposed { get; private set; }

    /// <inheritdoc/>
    public string Name => device.Name;

    /// <inheritdoc/>
    public DeviceInfo Info => device.Info;

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => device.IovaRanges;

    /// <inheritdoc/>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class => device.TryGet(out feature);

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region) => device.GetRegion(region);

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => device.GetInterrupt(index);

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => device.GetDoorbells(region);

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        device.ReadRegion(region, offset, destination);
        record.AddAccess(name, isWrite: false, region, offset, destination);
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        // Before what it does: an interrupt comes after the write that raised it.
        record.AddAccess(name, isWrite: true, region, offset, source);
        device.WriteRegion(region, offset, source);
    }

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        device.ReadRegions(reads, values);
        for (int i = 0; i < reads.Length; i++)
            record.AddAccess(name, isWrite: false, reads[i].Region, reads[i].Offset, Blittable.AsBytes(ref values[i])[..reads[i].Width]);
    }

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            record.AddAccess(name, isWrite: true, write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }

        device.WriteRegions(writes);
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        if (record.IsLogged)
            record.Add($"interrupts {name} {request.Index} {request.Action}");
        device.SetInterrupts(request);
    }

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        if (record.IsLogged)
            record.Add($"map {name} {mapping.Start} 0x{mapping.Length:x}");
        device.MapDma(mapping);
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        if (record.IsLogged)
            record.Add($"unmap {name} {start} 0x{length:x}");
        return device.UnmapDma(start, length);
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        record.Add($"unmap {name}");
        device.UnmapAllDma();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        record.Add($"reset {name}");
        device.Reset();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        IsDisposed = true;
        record.Add($"close {name}");
        device.Dispose();
    }
}
