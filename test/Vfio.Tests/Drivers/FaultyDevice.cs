using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Vfio.Tests.Drivers;

/// <summary>A device that wraps another and, on request, fails as hardware fails.</summary>
internal sealed class FaultyDevice(IVfioDevice inner) : IVfioDevice
{
    private volatile bool _isGone;

    /// <summary>Registers of BAR0 that read as something else.</summary>
    internal Dictionary<ulong, uint> Answers { get; } = [];

    /// <summary>Writes of BAR0 from here on are lost.</summary>
    internal ulong LoseWritesFrom { get; set; } = ulong.MaxValue;

    /// <summary>Writes of BAR0 up to here are lost.</summary>
    internal ulong LoseWritesBelow { get; set; }

    /// <summary>Called with the offset of each read of BAR0, by the thread that reads.</summary>
    internal Action<ulong>? OnRead { get; set; }

    /// <summary>What was mapped for DMA, in order.</summary>
    internal List<DmaMapping> Mappings { get; } = [];

    public string Name => inner.Name;

    public DeviceInfo Info => inner.Info;

    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class => inner.TryGet(out feature);

    public IReadOnlyList<IovaRange> IovaRanges => inner.IovaRanges;

    /// <summary>From now on every read gives ones and every write is lost.</summary>
    internal void Vanish() => _isGone = true;

    public RegionInfo GetRegion(RegionIndex region) => inner.GetRegion(region);

    public InterruptInfo GetInterrupt(InterruptIndex index) => inner.GetInterrupt(index);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        if (region == RegionIndex.Bar(0))
            OnRead?.Invoke(offset);
        if (_isGone)
            destination.Fill(0xff);
        else if (region == RegionIndex.Bar(0) && Answers.TryGetValue(offset, out uint answer))
            BinaryPrimitives.WriteUInt32LittleEndian(destination, answer);
        else
            inner.ReadRegion(region, offset, destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        bool isLost = region == RegionIndex.Bar(0) && (offset >= LoseWritesFrom || offset < LoseWritesBelow);
        if (!_isGone && !isLost)
            inner.WriteRegion(region, offset, source);
    }

    public void SetInterrupts(in InterruptRequest request) => inner.SetInterrupts(request);

    public void MapDma(in DmaMapping mapping)
    {
        inner.MapDma(mapping);
        Mappings.Add(mapping);
    }

    public ulong UnmapDma(Iova start, ulong length) => inner.UnmapDma(start, length);

    public void UnmapAllDma() => inner.UnmapAllDma();

    public void Reset() => inner.Reset();

    public void Dispose() => inner.Dispose();
}
