using System.Buffers.Binary;
using Vfio.Providers;

namespace Vfio.Tests.Drivers;

/// <summary>An NVMe controller in memory with an admin queue whose commands a test answers, by the numbers of the Base Specification 1.4.</summary>
/// <param name="answer">Gives the status, type in bits 10:8 and code in bits 7:0, and the data of a command: its 64 bytes.</param>
internal sealed class NvmeStandIn(Func<byte[], (uint Status, byte[] Data)> answer) : IVfioDevice
{
    private const int BarBytes = 0x2000, Cap = 0x00, Version = 0x08, Cc = 0x14, Csts = 0x1c, Aqa = 0x24, Asq = 0x28, Acq = 0x30, Tail = 0x1000;
    private readonly byte[] _config = new byte[256];
    private readonly byte[] _registers = new byte[BarBytes];
    private readonly DmaMappings _memory = new();
    private int _head, _completed;

    public string Name => "stand-in";

    public DeviceInfo Info => new(DeviceFlags.Pci | DeviceFlags.Reset, RegionIndex.PciCount, InterruptIndex.PciCount);

    public RegionInfo GetRegion(RegionIndex region) => region.Value switch
    {
        0 => new RegionInfo(region, BarBytes, RegionFlags.Read | RegionFlags.Write),
        7 => new RegionInfo(region, 256, RegionFlags.Read | RegionFlags.Write),
        _ => RegionInfo.Absent(region),
    };

    public InterruptInfo GetInterrupt(InterruptIndex index) => new(index, 0, InterruptFlags.None);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        // Class 01 08 02; 64 entries, ready within 10 s, the NVM command set; version 1.4.
        BinaryPrimitives.WriteUInt32LittleEndian(_config.AsSpan(8), 0x0108_0200);
        BinaryPrimitives.WriteUInt64LittleEndian(_registers.AsSpan(Cap), 0x0000_0020_1401_003f);
        BinaryPrimitives.WriteUInt32LittleEndian(_registers.AsSpan(Version), 0x0001_0400);
        (region == RegionIndex.Config ? _config : _registers).AsSpan((int)offset, destination.Length).CopyTo(destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        source.CopyTo((region == RegionIndex.Config ? _config : _registers).AsSpan((int)offset));
        if (region != RegionIndex.Bar0)
            return;
        if (offset == Cc)
        {
            // Ready as soon as it is enabled, shut down as soon as it is asked for.
            _registers[Csts] = (byte)((_registers[Cc] & 1) | ((_registers[Cc + 1] & 0xc0) != 0 ? 8 : 0));
            _head = _completed = 0;
        }
        else if (offset == Tail)
        {
            int entries = (BinaryPrimitives.ReadUInt16LittleEndian(_registers.AsSpan(Aqa)) & 0xfff) + 1;
            int tail = BinaryPrimitives.ReadInt32LittleEndian(source);
            for (; _head != tail; _head = (_head + 1) % entries)
                Do(entries);
        }
    }

    public void SetInterrupts(in InterruptRequest request)
    {
    }

    public void MapDma(in DmaMapping mapping) => _memory.Add(mapping);

    public ulong UnmapDma(Iova start, ulong length)
    {
        Assert.Equal(Errno.None, _memory.Find(start, length, out int first, out int count));
        for (int i = 0; i < count; i++)
            _memory.RemoveAt(first);
        return length;
    }

    public void UnmapAllDma() => _memory.Clear();

    public void Reset()
    {
    }

    public void Dispose() => _memory.Clear();

    private void Do(int entries)
    {
        byte[] command = new byte[64];
        Assert.Equal(Errno.None, _memory.Read(Address(Asq) + (ulong)(_head * 64), command));
        (uint status, byte[] data) = answer(command);
        for (int at = 0; at < data.Length; at += 4096)
            Assert.Equal(Errno.None, _memory.Write(PageOf(command, at / 4096, data.Length), data.AsSpan(at, Math.Min(4096, data.Length - at))));

        // The phase tag changes with every round: bit 16 of dword 3, below the status.
        byte[] completion = new byte[16];
        BinaryPrimitives.WriteUInt16LittleEndian(completion.AsSpan(12), BinaryPrimitives.ReadUInt16LittleEndian(command.AsSpan(2)));
        uint phase = (_completed / entries) % 2 == 0 ? 1u : 0u;
        BinaryPrimitives.WriteUInt16LittleEndian(completion.AsSpan(14), (ushort)(status << 1 | phase));
        Assert.Equal(Errno.None, _memory.Write(Address(Acq) + (ulong)(_completed % entries * 16), completion));
        _completed++;
    }

    /// <summary>Where a page of a command's data goes: PRP1, PRP2, or the list at PRP2.</summary>
    private ulong PageOf(byte[] command, int page, int bytes)
    {
        ulong first = BinaryPrimitives.ReadUInt64LittleEndian(command.AsSpan(24));
        ulong second = BinaryPrimitives.ReadUInt64LittleEndian(command.AsSpan(32));
        Assert.Equal(0ul, first % 4096);
        if (page == 0 || bytes <= 8192)
            return page == 0 ? first : second;
        byte[] entry = new byte[8];
        Assert.Equal(Errno.None, _memory.Read(second + (ulong)((page - 1) * 8), entry));
        return BinaryPrimitives.ReadUInt64LittleEndian(entry);
    }

    private ulong Address(int register) => BinaryPrimitives.ReadUInt64LittleEndian(_registers.AsSpan(register));
}
