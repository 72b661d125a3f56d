using Vfio.Native;

namespace Vfio.Tests.Driver;

/// <summary>An assigned device that is nothing but a memory of what was asked: regions of bytes, a log, bound eventfds.</summary>
internal sealed class FakeDevice : IVfioDevice
{
    private readonly byte[][] _regions = new byte[9][];
    private readonly RegionInfo[] _infos = new RegionInfo[9];
    private readonly InterruptInfo[] _interrupts = new InterruptInfo[5];
    private readonly Dictionary<(InterruptIndex, int), EventFd> _bound = [];

    internal FakeDevice()
    {
        for (uint i = 0; i < 9; i++)
            _infos[i] = RegionInfo.Absent(new RegionIndex(i));
        for (uint i = 0; i < 5; i++)
            _interrupts[i] = new InterruptInfo(new InterruptIndex(i), 0, InterruptFlags.None);
        AddRegion(RegionIndex.Config, 256);
        Config(0x00, 0x34, 0x12, 0xe8, 0x11);
    }

    public string Name => "fake";

    public DeviceInfo Info { get; set; } = new(DeviceFlags.Pci | DeviceFlags.Reset, 9, 5);

    public IReadOnlyList<IovaRange> IovaRanges { get; set; } = IovaRange.Default;

    /// <summary>What was asked, but for reads and writes of regions.</summary>
    internal List<string> Log { get; } = [];

    /// <summary>Width of the last access that came as a message, and how many came.</summary>
    internal (RegionIndex Region, ulong Offset, int Width) LastAccess { get; private set; }

    internal List<int>? Widths { get; set; }

    internal int Accesses { get; private set; }

    internal Dictionary<Iova, DmaMapping> Mappings { get; } = [];

    internal bool IsDisposed { get; private set; }

    /// <summary>When set, mapping, unmapping and interrupts are refused with it.</summary>
    internal Errno Refusal { get; set; }

    /// <summary>How many vectors the machine has left for one kind.</summary>
    internal int VectorsLeft { get; set; } = int.MaxValue;

    internal void Config(int offset, params byte[] bytes) => bytes.CopyTo(_regions[7], offset);

    internal byte[] Region(RegionIndex index) => _regions[index.Value];

    internal void AddRegion(RegionIndex index, int length)
    {
        _regions[index.Value] = new byte[length];
        _infos[index.Value] = new RegionInfo(index, (ulong)length, RegionFlags.Read | RegionFlags.Write);
    }

    internal void AddMappable(RegionIndex index, FileDescriptor file, int length, params MmapArea[] areas)
    {
        AddRegion(index, length);
        _infos[index.Value] = _infos[index.Value] with
        {
            Flags = RegionFlags.Read | RegionFlags.Write | RegionFlags.Map,
            File = file,
            MmapAreas = areas,
        };
    }

    internal void AddInterrupt(InterruptIndex index, int count, InterruptFlags flags = InterruptFlags.EventFd) =>
        _interrupts[index.Value] = new InterruptInfo(index, count, flags);

    internal void Fire(InterruptIndex index, int vector = 0) => _bound[(index, vector)].Signal();

    internal bool IsBound(InterruptIndex index, int vector = 0) => _bound.ContainsKey((index, vector));

    public RegionInfo GetRegion(RegionIndex region) => _infos[region.Value];

    public InterruptInfo GetInterrupt(InterruptIndex index) => _interrupts[index.Value];

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        Note(region, offset, destination.Length);
        _regions[region.Value].AsSpan((int)offset, destination.Length).CopyTo(destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        Note(region, offset, source.Length);
        source.CopyTo(_regions[region.Value].AsSpan((int)offset));
    }

    public void SetInterrupts(in InterruptRequest request)
    {
        Log.Add(request.IsDisable ? $"disable {request.Index}" : $"{request.Action} {request.Index} {request.Start}+{request.Count}");
        Refuse("SET_IRQS");
        InterruptIndex index = request.Index;
        if (request.IsDisable)
        {
            foreach ((InterruptIndex, int) key in _bound.Keys.Where(key => key.Item1 == index).ToList())
                Unbind(key);
        }
        else if (request.Data == InterruptData.Events)
        {
            if (request.Count > VectorsLeft)
                throw new VfioException("SET_IRQS", Name, Errno.NoSpace);
            for (int i = 0; i < request.Count; i++)
            {
                Unbind((request.Index, request.Start + i));
                if (request.Events[i] is { } descriptor)
                    _bound[(request.Index, request.Start + i)] = EventFd.TryHold(descriptor)!;
            }
        }
        else if (request.Action == InterruptAction.Trigger)
        {
            Fire(request.Index, request.Start);
        }
    }

    public void MapDma(in DmaMapping mapping)
    {
        Log.Add($"map {mapping.Start} {mapping.Length:x} {mapping.Access}");
        Refuse("MAP_DMA");
        mapping.Memory.AddReference();
        Mappings.Add(mapping.Start, mapping);
    }

    public ulong UnmapDma(Iova start, ulong length)
    {
        Log.Add($"unmap {start} {length:x}");
        Refuse("UNMAP_DMA");
        Mappings.Remove(start, out DmaMapping mapping);
        mapping.Memory.Release();
        return length;
    }

    public void UnmapAllDma() => throw new NotSupportedException();

    public void Reset()
    {
        Log.Add("reset");
        _regions[7][4] = 0;
    }

    public void Dispose()
    {
        Log.Add("dispose");
        IsDisposed = true;
    }

    private void Note(RegionIndex region, ulong offset, int width)
    {
        LastAccess = (region, offset, width);
        Accesses++;
        Widths?.Add(width);
    }

    private void Unbind((InterruptIndex, int) key)
    {
        if (_bound.Remove(key, out EventFd? old))
            old.Dispose();
    }

    private void Refuse(string operation)
    {
        if (Refusal != Errno.None)
            throw new VfioException(operation, Name, Refusal);
    }
}
