namespace Vfio.Tests.Tracing;

/// <summary>A device that answers at once, and does nothing.</summary>
internal sealed class StillDevice : IVfioDevice
{
    public string Name => "still";

    public DeviceInfo Info => new(DeviceFlags.None, 1, 0);

    public RegionInfo GetRegion(RegionIndex region) => new(region, 1 << 20, RegionFlags.Read | RegionFlags.Write);

    public InterruptInfo GetInterrupt(InterruptIndex index) => new(index, 0, InterruptFlags.None);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => destination.Clear();

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
    }

    public void SetInterrupts(in InterruptRequest request)
    {
    }

    public void MapDma(in DmaMapping mapping)
    {
    }

    public ulong UnmapDma(Iova start, ulong length) => 0;

    public void UnmapAllDma()
    {
    }

    public void Reset()
    {
    }

    public void Dispose()
    {
    }
}
