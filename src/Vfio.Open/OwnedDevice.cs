using System.Diagnostics.CodeAnalysis;

namespace Vfio;

/// <summary>A device, and what ends with it.</summary>
/// <param name="device">The device; owned.</param>
/// <param name="afterwards">Disposed after it, in this order.</param>
internal sealed class OwnedDevice(IVfioDevice device, params IDisposable[] afterwards) : IVfioDevice
{
    /// <inheritdoc/>
    public string Name => device.Name;

    /// <inheritdoc/>
    public event Action? Restarted
    {
        add => device.Restarted += value;
        remove => device.Restarted -= value;
    }

    /// <inheritdoc/>
    public DeviceInfo Info => device.Info;

    /// <inheritdoc/>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class => device.TryGet(out feature);

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => device.IovaRanges;

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region) => device.GetRegion(region);

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => device.GetInterrupt(index);

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => device.ReadRegion(region, offset, destination);

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => device.WriteRegion(region, offset, source);

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values) => device.ReadRegions(reads, values);

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes) => device.WriteRegions(writes);

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => device.GetDoorbells(region);

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request) => device.SetInterrupts(request);

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping) => device.MapDma(mapping);

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length) => device.UnmapDma(start, length);

    /// <inheritdoc/>
    public void UnmapAllDma() => device.UnmapAllDma();

    /// <inheritdoc/>
    public void Reset() => device.Reset();

    /// <inheritdoc/>
    public void Dispose()
    {
        device.Dispose();
        foreach (IDisposable owned in afterwards)
            owned.Dispose();
    }
}
