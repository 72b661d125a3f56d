using System.Diagnostics.CodeAnalysis;
using Vfio.Kernel;
using Vfio.Native.Sockets;

namespace Vfio;

/// <summary>A device of the kernel whose descriptors a broker passed, with the lease's connection. Disposing it ends the lease.</summary>
internal sealed class DirectLease : IVfioDevice
{
    private readonly IVfioDevice _device;
    private readonly DmaSpace _space;
    private readonly UnixSocket _connection;

    /// <summary>Takes all three over.</summary>
    /// <param name="device">The device; owned.</param>
    /// <param name="space">Its address space; owned.</param>
    /// <param name="connection">The lease's connection; owned.</param>
    internal DirectLease(KernelDevice device, DmaSpace space, UnixSocket connection)
    {
        _device = device;
        _space = space;
        _connection = connection;
    }

    /// <inheritdoc/>
    public string Name => _device.Name;

    /// <inheritdoc/>
    public event Action? Restarted
    {
        add => _device.Restarted += value;
        remove => _device.Restarted -= value;
    }

    /// <inheritdoc/>
    public DeviceInfo Info => _device.Info;

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => _device.IovaRanges;

    /// <inheritdoc/>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class => _device.TryGet(out feature);

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region) => _device.GetRegion(region);

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => _device.GetInterrupt(index);

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => _device.ReadRegion(region, offset, destination);

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => _device.WriteRegion(region, offset, source);

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values) => _device.ReadRegions(reads, values);

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes) => _device.WriteRegions(writes);

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => _device.GetDoorbells(region);

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request) => _device.SetInterrupts(request);

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping) => _device.MapDma(mapping);

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length) => _device.UnmapDma(start, length);

    /// <inheritdoc/>
    public void UnmapAllDma() => _device.UnmapAllDma();

    /// <inheritdoc/>
    public void Reset() => _device.Reset();

    /// <inheritdoc/>
    public void Dispose()
    {
        // The connection last: the broker takes the device back when it is closed, and it must be free by then.
        _device.Dispose();
        _space.Dispose();
        _connection.Dispose();
    }
}
