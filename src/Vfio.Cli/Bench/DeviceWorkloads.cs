using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Cli.Bench;

/// <summary>Workloads that are safe on any open device: scratch registers, memory of this process, interrupts to this
/// process.</summary>
internal sealed class DeviceWorkloads : IDisposable
{
    private const int PageBytes = 4096, BulkBytes = 1 << 20, Posted = 64, Together = 16;
    private const uint BenchIds = 0x5542_5646, EduIds = 0x11e8_1234;
    private const ulong InterruptRegister = 0x10, InterruptLine = 0x3c, Command = 4, MappedRegister = 4;
    private const byte BusMaster = 4;
    private static readonly TimeSpan InterruptTimeout = TimeSpan.FromSeconds(5);
    private readonly IVfioDevice _device;
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("vfio-bench", PageBytes));
    private readonly EventFd _event = EventFd.Create();
    private readonly byte[] _word = new byte[4];
    private readonly byte[] _bulk = new byte[BulkBytes];
    private readonly RegisterRead[] _reads = new RegisterRead[Together];
    private readonly RegisterWrite[] _writes = new RegisterWrite[Together];
    private readonly ulong[] _values = new ulong[Together];
    private readonly RegionIndex _region;
    private readonly ulong _offset;
    private readonly int _width;
    private readonly bool _isBench;
    private readonly bool _isKnown;
    private readonly byte[] _config = new byte[4];
    private readonly byte[] _line = new byte[1];
    private SharedMemory? _mapping;

    /// <summary>Finds out which device it is.</summary>
    /// <param name="device">The device; the caller keeps it.</param>
    /// <exception cref="VfioException">It has no PCI config space.</exception>
    internal DeviceWorkloads(IVfioDevice device)
    {
        _device = device;
        device.ReadRegion(RegionIndex.Config, 0, _word);
        uint ids = Blittable.Read<uint>(_word);
        _isBench = ids == BenchIds;
        _isKnown = ids is BenchIds or EduIds;
        if (_isBench)
            EnableBusMaster();
        device.ReadRegion(RegionIndex.Config, InterruptLine, _line);

        // The benchmark device has a register for this, edu one that inverts what is written. Every other PCI function has the
        // interrupt line, a byte that the device does not use: it is written with its own value.
        (_region, _offset, _width) = ids switch
        {
            BenchIds => (RegionIndex.Bar0, 0x08ul, 4),
            EduIds => (RegionIndex.Bar0, 0x04ul, 4),
            _ => (RegionIndex.Config, InterruptLine, 1),
        };
        if (ids == EduIds)
        {
            // Neither this nor its complement is all ones, after which the device would be looked for.
            Blittable.Write(_word, 0x5a5a_5a5au);
            Write();
        }

        Read();
        Array.Fill(_reads, new RegisterRead(_region, _offset, _width));
        Array.Fill(_writes, new RegisterWrite(_region, _offset, _width, _width == 1 ? _word[0] : 0ul));
    }

    /// <summary>The register that is read and written.</summary>
    internal string Register => $"{_width} bytes of {_region} at 0x{_offset:x}";

    /// <summary>The rows, and why some are left out.</summary>
    internal IEnumerable<(Workload? Workload, BenchRow? Skipped)> All()
    {
        yield return Do(new Workload("read", Read));
        yield return Do(new Workload("write", Write));
        yield return Do(new Workload("pipelined read", ReadTogether) { Operations = Together });
        yield return Do(new Workload("multi write", WriteTogether) { Operations = Together });
        yield return Do(new Workload("config read", ReadConfig));
        yield return Do(new Workload("config write", WriteConfig));
        yield return Mapped();
        yield return _isBench ? Do(new Workload("read of 1 MiB", ReadBulk) { Bytes = BulkBytes }) : Leave("read of 1 MiB");
        yield return _isBench ? Do(new Workload("write of 1 MiB", WriteBulk) { Bytes = BulkBytes }) : Leave("write of 1 MiB");
        yield return Do(new Workload("DMA map", Map) { After = Unmap });
        yield return Do(new Workload("DMA unmap", Unmap) { Before = Map });
        yield return Interrupt();
    }

    /// <summary>Posted writes, and a read after them, which completes when all of them have.</summary>
    internal Workload PostedWrites() => new("posted write", Post) { Operations = Posted };

    /// <inheritdoc/>
    public void Dispose()
    {
        _event.Dispose();
        _mapping?.Dispose();
        _memory.Release();
    }

    private static (Workload?, BenchRow?) Do(Workload workload) => (workload, null);

    private static (Workload?, BenchRow?) Leave(string name) =>
        (null, new BenchRow(name) { Skipped = "only the benchmark device (model:bench) has memory for it" });

    /// <summary>A register by a load from the BAR's mapping, many at a time: one is too short to time.</summary>
    private (Workload?, BenchRow?) Mapped()
    {
        const string Name = "mapped read";
        if (!_isKnown)
            return (null, new BenchRow(Name) { Skipped = "only of model:bench and edu is it known what may be read" });
        RegionInfo bar = _device.GetRegion(RegionIndex.Bar(_isBench ? 2 : 0));
        bool startsWithPage = bar.IsMappable && (bar.MmapAreas.Count == 0 || bar.MmapAreas[0].Offset == 0);
        if (!startsWithPage)
            return (null, new BenchRow(Name) { Skipped = "its BAR cannot be mapped here" });
        _mapping = SharedMemory.MapWatched(bar.File!, bar.FileOffset, PageBytes, writable: true);
        return Do(new Workload(Name, ReadMapped) { Operations = Together });
    }

    private (Workload?, BenchRow?) Interrupt()
    {
        const string Name = "interrupt";
        InterruptIndex[] kinds = [InterruptIndex.Msix, InterruptIndex.Msi];
        InterruptIndex kind = Array.Find(kinds, kind => kind.Value < _device.Info.InterruptCount && _device.GetInterrupt(kind).Count > 0);
        if (!kinds.Contains(kind))
            return (null, new BenchRow(Name) { Skipped = "the device has neither MSI-X nor MSI" });
        bool isBound = false;
        return Do(new Workload(Name, () => Fire(kind))
        {
            Before = () =>
            {
                if (!isBound)
                    _device.SetInterrupts(InterruptRequest.Bind(kind, InterruptAction.Trigger, 0, [_event.Descriptor]));
                isBound = true;
            },
        });
    }

    /// <summary>Its interrupts are messages, which only a bus master sends.</summary>
    private void EnableBusMaster()
    {
        _device.ReadRegion(RegionIndex.Config, Command, _word);
        Span<byte> command = _word.AsSpan(0, 2);
        command[0] |= BusMaster;
        _device.WriteRegion(RegionIndex.Config, Command, command);
    }

    /// <summary>The benchmark device interrupts on a register write; others on a loopback trigger, as drivers test their interrupts.</summary>
    private void Fire(InterruptIndex kind)
    {
        if (_isBench)
        {
            Blittable.Write(_word, 0u);
            _device.WriteRegion(RegionIndex.Bar0, InterruptRegister, _word);
        }
        else
        {
            _device.SetInterrupts(InterruptRequest.ForAll(kind, InterruptAction.Trigger, 0, 1));
        }

        if (!_event.Wait(InterruptTimeout))
            throw new TimeoutException($"no interrupt came within {InterruptTimeout.TotalSeconds} s");
    }

    // Vendor and device; and the interrupt line, which gets the value that it has.
    private void ReadConfig() => _device.ReadRegion(RegionIndex.Config, 0, _config);

    private void WriteConfig() => _device.WriteRegion(RegionIndex.Config, InterruptLine, _line);

    private void ReadMapped()
    {
        for (int i = 0; i < Together; i++)
            _ = _mapping!.Read32(MappedRegister);
        if (_mapping!.IsLost)
            throw new VfioException("mapped read", _device.Name, Errno.InputOutput, "its memory is off, or it is gone");
    }

    private void Read() => _device.ReadRegion(_region, _offset, _word.AsSpan(0, _width));

    private void Write() => _device.WriteRegion(_region, _offset, _word.AsSpan(0, _width));

    private void Post()
    {
        for (int i = 0; i < Posted; i++)
            Write();
        Read();
    }

    private void ReadTogether() => _device.ReadRegions(_reads, _values);

    private void WriteTogether() => _device.WriteRegions(_writes);

    private void ReadBulk() => _device.ReadRegion(RegionIndex.Bar(2), 0, _bulk);

    private void WriteBulk() => _device.WriteRegion(RegionIndex.Bar(2), 0, _bulk);

    private void Map() => _device.MapDma(new DmaMapping(Place, PageBytes, DmaAccess.ReadWrite, _memory, 0));

    private void Unmap() => _device.UnmapDma(Place, PageBytes);

    private Iova Place => _device.IovaRanges[0].Start;
}
