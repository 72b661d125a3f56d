using System.Diagnostics.CodeAnalysis;
using Vfio.Abstractions;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Platform;

/// <summary>A guarded model as a platform device: numbered and named regions and interrupts, and no config space.</summary>
/// <remarks>
/// <para>The layout is that of <c>vfio-platform</c>: the memory BARs are regions 0 and up, each vector is an interrupt index of its own
/// with a count of 1, and the device reaches mapped memory from the start, for there is no bus mastering to be turned on.</para>
/// <para>Any thread may call.</para>
/// </remarks>
internal sealed class PlatformAdapter : IVfioDevice, IPlatformDevice
{
    private const ulong Command = 0x04;
    private const byte MemorySpace = 2, BusMaster = 4;
    private readonly IVfioDevice _device;
    private readonly RegionIndex[] _regions;
    private readonly InterruptInfo _vectors;

    /// <summary>Makes it.</summary>
    /// <param name="device">The guarded model; owned by this object from now on, also when this throws.</param>
    /// <param name="description">What the device tree says.</param>
    /// <exception cref="VfioException">It cannot be prepared.</exception>
    internal PlatformAdapter(IVfioDevice device, PlatformDescription description)
    {
        _device = device;
        try
        {
            _regions = [.. Enumerable.Range(0, 6).Select(RegionIndex.Bar).Where(IsMemory)];
            _vectors = new[] { InterruptIndex.Msix, InterruptIndex.Msi, InterruptIndex.Intx }
                .Select(device.GetInterrupt).FirstOrDefault(kind => kind.Count > 0, device.GetInterrupt(InterruptIndex.Intx));
            DeviceTreePath = description.Path;
            Compatible = description.Compatible;
            RegionNames = Names(description.RegionNames, _regions.Length, "reg");
            InterruptNames = Names(description.InterruptNames, _vectors.Count, "irq");
            Start();

            // From now on each vector can be bound by itself.
            if (_vectors.Count > 0)
                device.SetInterrupts(InterruptRequest.Bind(_vectors.Index, InterruptAction.Trigger, 0, new FileDescriptor?[_vectors.Count]));
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

    public DeviceInfo Info => new(DeviceFlags.Platform | (_device.Info.Flags & DeviceFlags.Reset), _regions.Length, _vectors.Count);

    public IReadOnlyList<IovaRange> IovaRanges => _device.IovaRanges;

    public string DeviceTreePath { get; }

    public IReadOnlyList<string> Compatible { get; }

    public IReadOnlyList<string> RegionNames { get; }

    public IReadOnlyList<string> InterruptNames { get; }

    /// <remarks>A handover names regions and interrupts by their numbers on PCI, and is not passed on.</remarks>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        feature = typeof(TFeature) == typeof(IPlatformDevice) ? this as TFeature : null;
        bool isBelow = typeof(TFeature).IsInterface && typeof(TFeature) != typeof(IVfioDevice) && typeof(TFeature) != typeof(IHandoverDevice);
        return feature is not null || (isBelow && _device.TryGet(out feature));
    }

    public RegionInfo GetRegion(RegionIndex region) => _device.GetRegion(Below(region)) with { Index = region };

    public InterruptInfo GetInterrupt(InterruptIndex index) =>
        new(Checked(index), 1, _vectors.Flags & ~InterruptFlags.NoResize);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => _device.ReadRegion(Below(region), offset, destination);

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => _device.WriteRegion(Below(region), offset, source);

    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        for (int i = 0; i < reads.Length; i++)
        {
            values[i] = 0;
            ReadRegion(reads[i].Region, reads[i].Offset, Blittable.AsBytes(ref values[i])[..reads[i].Width]);
        }
    }

    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            WriteRegion(write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }
    }

    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => _device.GetDoorbells(Below(region));

    public void SetInterrupts(in InterruptRequest request)
    {
        int vector = (int)Checked(request.Index).Value;
        if (request.IsDisable)
        {
            _device.SetInterrupts(InterruptRequest.Bind(_vectors.Index, InterruptAction.Trigger, vector, new FileDescriptor?[1]));
            return;
        }

        if (request.Start != 0 || request.Count != 1)
            throw new VfioException($"use of {request.Index}", Name, Errno.InvalidArgument, "it has one vector, 0");
        _device.SetInterrupts(request.Data switch
        {
            InterruptData.Events => InterruptRequest.Bind(_vectors.Index, request.Action, vector, request.Events),
            InterruptData.Bools => InterruptRequest.ForSome(_vectors.Index, request.Action, vector, request.Bools),
            _ => InterruptRequest.ForAll(_vectors.Index, request.Action, vector, 1),
        });
    }

    public void MapDma(in DmaMapping mapping) => _device.MapDma(mapping);

    public ulong UnmapDma(Iova start, ulong length) => _device.UnmapDma(start, length);

    public void UnmapAllDma() => _device.UnmapAllDma();

    public void Reset()
    {
        _device.Reset();
        Start();
    }

    public void Dispose() => _device.Dispose();

    private static string[] Names(IReadOnlyList<string> given, int count, string other) =>
        [.. Enumerable.Range(0, count).Select(i => i < given.Count ? given[i] : $"{other}{i}")];

    private bool IsMemory(RegionIndex bar)
    {
        // PCI 3.0, section 6.2.5.1: bit 0 of a BAR says that it is of I/O ports.
        byte low = 0;
        if (_device.GetRegion(bar).Length > 0)
            _device.ReadRegion(RegionIndex.Config, 0x10 + (4 * (ulong)bar.Value), Blittable.AsBytes(ref low));
        return _device.GetRegion(bar).Length > 0 && (low & 1) == 0;
    }

    /// <summary>The device answers at its regions and reaches memory, as one on a platform bus does from power-on.</summary>
    private void Start()
    {
        ushort command = MemorySpace | BusMaster;
        _device.WriteRegion(RegionIndex.Config, Command, Blittable.AsBytes(ref command));
    }

    private RegionIndex Below(RegionIndex region) => region.Value < _regions.Length
        ? _regions[region.Value]
        : throw new VfioException($"access to region {region.Value}", Name, Errno.InvalidArgument, $"it has {_regions.Length} regions");

    private InterruptIndex Checked(InterruptIndex index) => index.Value < _vectors.Count
        ? index
        : throw new VfioException($"use of interrupt {index.Value}", Name, Errno.InvalidArgument, $"it has {_vectors.Count} interrupts");
}
