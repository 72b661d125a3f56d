using Vfio.Native;

namespace Vfio.Tests.User;

/// <summary>A small device of the tests: a register BAR, a BAR that can be mapped in parts, config space, eight vectors, a bus master.</summary>
internal sealed class FakeDevice : IVfioDevice
{
    /// <summary>A write of this offset of BAR0 copies memory: address, length and direction come from the registers before it.</summary>
    internal const ulong DmaGo = 0x40;

    /// <summary>Registers of the DMA: address (8), length (8), 0 to read and 1 to write (4), then errno (4) of the last.</summary>
    internal const ulong DmaAddress = 0x20;
    internal const ulong DmaLength = 0x28;
    internal const ulong DmaDirection = 0x30;
    internal const ulong DmaError = 0x34;

    /// <summary>Offset of BAR0 that throws when it is read.</summary>
    internal const ulong Faulty = 0x80;

    internal const int BarBytes = 4096;
    internal const int SharedBytes = 1 << 20;

    private readonly Lock _lock = new();
    private readonly byte[] _registers = new byte[BarBytes];
    private readonly byte[] _config = new byte[256];
    private readonly SharedMemory _shared = SharedMemory.Create("fake BAR2", SharedBytes);
    private readonly EventFd?[] _events = new EventFd?[8];

    internal List<DmaMapping> Mappings { get; } = [];

    internal List<string> Calls { get; } = [];

    internal byte[] DmaBuffer { get; } = new byte[4 << 20];

    /// <summary>How often BAR2 was read by message.</summary>
    internal int SharedReads { get; private set; }

    internal bool Disposed { get; private set; }

    /// <summary>Does the DMA by another thread, which the call waits for.</summary>
    internal bool UsesThread { get; init; }

    /// <summary>Whether BAR2 is offered for mapping.</summary>
    internal bool IsMappable { get; init; } = true;

    public string Name => "fake";

    public DeviceInfo Info => new(DeviceFlags.Reset | DeviceFlags.Pci, RegionIndex.PciCount, InterruptIndex.PciCount);

    public RegionInfo GetRegion(RegionIndex region) => region.Value switch
    {
        0 => new(region, BarBytes, RegionFlags.Read | RegionFlags.Write),
        2 when !IsMappable => new(region, SharedBytes, RegionFlags.Read | RegionFlags.Write),
        2 => new(region, SharedBytes, RegionFlags.Read | RegionFlags.Write | RegionFlags.Map)
        {
            File = _shared.File,
            MmapAreas = [new(0, 0x1000), new(0x3000, 0x2000), new(0x10000, 0x80000)],
        },
        6 => new(region, 512, RegionFlags.Read),
        7 => new(region, 256, RegionFlags.Read | RegionFlags.Write),
        < RegionIndex.PciCount => RegionInfo.Absent(region),
        _ => throw new VfioException("region", Name, Errno.InvalidArgument),
    };

    public InterruptInfo GetInterrupt(InterruptIndex index) => index.Value switch
    {
        0 => new(index, 1, InterruptFlags.EventFd | InterruptFlags.Maskable | InterruptFlags.AutoMasked),
        2 => new(index, 8, InterruptFlags.EventFd | InterruptFlags.NoResize),
        < InterruptIndex.PciCount => new(index, 0, InterruptFlags.None),
        _ => throw new VfioException("interrupt", Name, Errno.InvalidArgument),
    };

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        if (region.Value == 0 && offset == Faulty)
            throw new InvalidOperationException("a bug of the device");
        lock (_lock)
        {
            if (region.Value == 2)
            {
                SharedReads++;
                Assert.True(_shared.TryRead(offset, destination));
            }
            else if (region.Value == 6)
            {
                destination.Fill(0x55);
            }
            else
            {
                Bytes(region).AsSpan((int)offset, destination.Length).CopyTo(destination);
            }
        }
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            if (region.Value == 2)
                Assert.True(_shared.TryWrite(offset, source));
            else
                source.CopyTo(Bytes(region).AsSpan((int)offset));
        }

        if (region.Value == 0 && offset == DmaGo)
            Go();
    }

    public void SetInterrupts(in InterruptRequest request)
    {
        Calls.Add($"{request.Action} {request.Data} {request.Index} {request.Start} {request.Count}");
        if (request.IsDisable)
        {
            Array.ForEach(_events, held => held?.Dispose());
            Array.Clear(_events);
        }
        else if (request is { Data: InterruptData.Events, Action: InterruptAction.Trigger })
        {
            Bind(request);
        }
        else if (request.Action == InterruptAction.Trigger)
        {
            for (int i = 0; i < request.Count; i++)
            {
                if (request.Data == InterruptData.None || request.Bools[i] != 0)
                    _events[request.Start + i]?.Signal();
            }
        }
    }

    public void MapDma(in DmaMapping mapping)
    {
        DmaMapping added = mapping;
        lock (_lock)
        {
            if (Mappings.Exists(m => added.Start.Value - m.Start.Value < m.Length || m.Start.Value - added.Start.Value < added.Length))
                throw new VfioException("map", Name, Errno.Exists);
            mapping.Memory.AddReference();
            Mappings.Add(mapping);
        }
    }

    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_lock)
        {
            int place = Mappings.FindIndex(m => m.Start == start && m.Length == length);
            if (place < 0)
                throw new VfioException("unmap", Name, Errno.NoEntry);
            Mappings[place].Memory.Release();
            Mappings.RemoveAt(place);
            return length;
        }
    }

    public void UnmapAllDma()
    {
        lock (_lock)
        {
            Mappings.ForEach(m => m.Memory.Release());
            Mappings.Clear();
        }
    }

    public void Reset()
    {
        Calls.Add("Reset");
        lock (_lock)
            Array.Clear(_registers);
    }

    public void Dispose()
    {
        UnmapAllDma();
        Array.ForEach(_events, held => held?.Dispose());
        _shared.Dispose();
        _shared.File.Dispose();
        Disposed = true;
    }

    /// <summary>Copies between <see cref="DmaBuffer"/> and memory, as a bus master does.</summary>
    internal Errno Transfer(ulong address, int length, bool write)
    {
        DmaMapping mapping;
        lock (_lock)
            mapping = Mappings.Find(m => address - m.Start.Value < m.Length);
        if (mapping.Memory is null)
            return Errno.BadAddress;
        ulong offset = mapping.MemoryOffset + (address - mapping.Start.Value);
        Span<byte> bytes = DmaBuffer.AsSpan(0, length);
        return write ? mapping.Memory.Write(offset, bytes) : mapping.Memory.Read(offset, bytes);
    }

    private void Go()
    {
        ulong address = BitConverter.ToUInt64(_registers, (int)DmaAddress);
        int length = BitConverter.ToInt32(_registers, (int)DmaLength);
        bool write = _registers[DmaDirection] == 1;
        Errno error = UsesThread
            ? Task.Factory.StartNew(() => Transfer(address, length, write), TaskCreationOptions.LongRunning).Result
            : Transfer(address, length, write);
        BitConverter.TryWriteBytes(_registers.AsSpan((int)DmaError), (int)error);
    }

    private void Bind(in InterruptRequest request)
    {
        for (int i = 0; i < request.Count; i++)
        {
            EventFd? held = request.Events[i] is FileDescriptor descriptor
                ? EventFd.TryHold(descriptor) ?? throw new VfioException("bind", Name, Errno.InvalidArgument)
                : null;
            _events[request.Start + i]?.Dispose();
            _events[request.Start + i] = held;
        }
    }

    private byte[] Bytes(RegionIndex region) => region.Value == 0 ? _registers : _config;
}
