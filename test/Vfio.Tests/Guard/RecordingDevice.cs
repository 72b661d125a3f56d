using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Tests.Guard;

/// <summary>An assigned device at its most trusting: every bit of config space takes what is written, except for status bits, which a 1
/// clears. All that arrives is recorded.</summary>
internal sealed class RecordingDevice(byte[] config, byte[] status, ulong[] barBytes) : IVfioDevice
{
    private readonly byte[] _afterReset = [.. config];

    public string Name => "fake";

    public bool CanReset { get; init; } = true;

    /// <summary>Bits that this does not let through, as Linux does not: it writes them back as it read them.</summary>
    public byte[] Merged { get; init; } = [];

    /// <summary>Bits that a reset does not change.</summary>
    public bool KeepsConfigOverReset { get; init; }

    public FileDescriptor? File { get; init; }

    public byte[] Config { get; } = config;

    public List<(bool IsWrite, int Offset, int Width, uint Value)> Log { get; } = [];

    public List<FileDescriptor?> Bound { get; } = [];

    public List<Iova> Mapped { get; } = [];

    public int Resets { get; private set; }

    public bool IsDisposed { get; private set; }

    public DeviceInfo Info => new(DeviceFlags.Pci | (CanReset ? DeviceFlags.Reset : DeviceFlags.None), RegionIndex.PciCount, InterruptIndex.PciCount);

    public RegionInfo GetRegion(RegionIndex region) =>
        region == RegionIndex.Config ? new RegionInfo(region, (ulong)Config.Length, RegionFlags.Read | RegionFlags.Write)
        : !region.IsBar || barBytes[region.Value] == 0 ? RegionInfo.Absent(region)
        : new RegionInfo(region, barBytes[region.Value], RegionFlags.Read | RegionFlags.Write | (File is null ? 0 : RegionFlags.Map))
        {
            File = File,
            FileOffset = region.Value << 40,
        };

    public InterruptInfo GetInterrupt(InterruptIndex index) => new(index, index == InterruptIndex.Msix ? 8 : 0, InterruptFlags.EventFd);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (region != RegionIndex.Config)
        {
            destination.Fill(0xb0);
            return;
        }

        int width = CheckWidth(offset, destination.Length);
        uint value = new ConfigSpace(Config).Read((int)offset, width);
        Log.Add((false, (int)offset, width, value));
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        bytes[..width].CopyTo(destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        Assert.Equal(RegionIndex.Config, region);
        int width = CheckWidth(offset, source.Length);
        uint value = 0;
        for (int i = 0; i < width; i++)
        {
            int at = (int)offset + i;
            value |= (uint)source[i] << (8 * i);
            byte written = Merged.Length == 0 ? source[i] : (byte)((source[i] & ~Merged[at]) | (Config[at] & Merged[at]));
            Config[at] = (byte)((Config[at] & status[at] & ~written) | (written & ~status[at]));
        }

        Log.Add((true, (int)offset, width, value));
    }

    public void SetInterrupts(in InterruptRequest request) => Bound.AddRange(request.Events);

    public void MapDma(in DmaMapping mapping) => Mapped.Add(mapping.Start);

    public ulong UnmapDma(Iova start, ulong length)
    {
        int count = Mapped.RemoveAll(at => at.Value >= start.Value && at.Value - start.Value < length);
        return count > 0 ? (ulong)count * 4096 : throw new VfioException("unmap", Name, Errno.NoEntry);
    }

    public void UnmapAllDma() => Mapped.Clear();

    public void Reset()
    {
        Resets++;
        if (!KeepsConfigOverReset)
            _afterReset.CopyTo(Config, 0);
    }

    public void Dispose() => IsDisposed = true;

    private static int CheckWidth(ulong offset, int width)
    {
        Assert.True(width is 1 or 2 or 4 && offset % (ulong)width == 0, $"{width} bytes at 0x{offset:x}");
        return width;
    }
}
