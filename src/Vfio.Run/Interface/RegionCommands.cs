using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;
using Vfio.Native.Waiting;
using Vfio.Pci;
using Vfio.Pci.Validation;

namespace Vfio.Run.Interface;

/// <summary>The regions of an open device: what they are, reads, writes and mappings. <c>drivers/vfio/pci/vfio_pci_core.c</c>,
/// <c>vfio_pci_rdwr.c</c> and <c>vfio_pci_config.c</c>.</summary>
internal sealed class RegionCommands
{
    private const int LeastInfoBytes = 16;
    private const uint HasCapabilities = 8;
    private const ushort SparseCapability = 1, MsixMappableCapability = 3;
    private const int FirstBarRegister = 0x10, RomRegister = 0x30, InterruptLine = 0x3c;

    /// <summary>Bytes that are copied to or from the caller at once.</summary>
    private const int ChunkBytes = 512;

    private const int ConfigWidth = 4, BarWidth = 8;
    private static readonly TimeSpan ConfigTimeout = TimeSpan.FromSeconds(5);
    private readonly IVfioDevice _device;
    private readonly BarMapping _mapping;
    private readonly RegionInfo[] _regions;
    private readonly MsixLocation? _msix;

    // Whether all of config space took too long to read.
    private bool _isSlow;

    // Whether a BAR is of memory; a BAR of ports cannot be mapped.
    private readonly bool[] _isMemory = new bool[RegionIndex.Rom.Value];

    /// <summary>Asks for the regions, which do not change while it is open.</summary>
    /// <param name="device">The device.</param>
    /// <param name="mapping">Which BARs can be mapped.</param>
    internal RegionCommands(IVfioDevice device, BarMapping mapping)
    {
        _device = device;
        _mapping = mapping;
        _regions = new RegionInfo[device.Info.RegionCount];
        for (int i = 0; i < _regions.Length; i++)
            _regions[i] = device.GetRegion(new RegionIndex((uint)i));
        ConfigSpace config = ReadConfig();
        _msix = MsixLocation.Find(config, CapabilityList.Read(config));
        for (int bar = 0; bar < _isMemory.Length; bar++)
            _isMemory[bar] = (config.Read32(FirstBarRegister + (4 * bar)) & 1) == 0;
    }

    /// <summary>VFIO_DEVICE_GET_INFO.</summary>
    internal long DescribeDevice(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, LeastInfoBytes, out vfio_device_info info))
            return Answer.Of(Errno.BadAddress);
        if (info.argsz < LeastInfoBytes)
            return Answer.Of(Errno.InvalidArgument);
        DeviceInfo device = _device.Info;
        info.flags = (uint)device.Flags;
        info.num_regions = (uint)device.RegionCount;
        info.num_irqs = (uint)device.InterruptCount;
        return caller.Answer(argument, info, (int)Math.Min(info.argsz, (uint)Blittable.SizeOf<vfio_device_info>()));
    }

    /// <summary>VFIO_DEVICE_GET_REGION_INFO.</summary>
    internal long DescribeRegion(ICaller caller, ulong argument)
    {
        int structBytes = Blittable.SizeOf<vfio_region_info>();
        if (!caller.TryRead(argument, out vfio_region_info info))
            return Answer.Of(Errno.BadAddress);
        if (info.argsz < structBytes || info.index >= (uint)_regions.Length)
            return Answer.Of(Errno.InvalidArgument);
        RegionInfo region = _regions[info.index];
        if (region.Index == RegionIndex.Vga && region.Length == 0)
            return Answer.Of(Errno.InvalidArgument);
        CapabilityChain chain = new();
        bool isMappable = IsMappable(region);
        if (isMappable)
            AddCapabilities(chain, region);
        info.flags = region.Length == 0 ? 0 : (uint)(region.Flags & ~RegionFlags.Map) | (isMappable ? (uint)RegionFlags.Map : 0);
        info.size = region.Length;
        info.offset = RegionOffsets.Of(region.Index);
        if (chain.Length > 0)
        {
            info.flags |= HasCapabilities;
            info.cap_offset = 0;
            if (info.argsz < structBytes + chain.Length)
                info.argsz = (uint)(structBytes + chain.Length);
            else if (chain.TryWrite(caller, argument, structBytes))
                info.cap_offset = (uint)structBytes;
            else
                return Answer.Of(Errno.BadAddress);
        }

        return caller.Answer(argument, info);
    }

    /// <summary>Resets the device, and restores the header of config space: Linux saves it before and writes it back after, so that a function is
    /// reset and stays set up.</summary>
    internal void Reset()
    {
        const int CommandRegister = 0x04;
        byte[] header = ReadConfig().Bytes.ToArray();
        _device.Reset();
        if (header.Length < ConfigSpace.HeaderLength)
            return;

        // Last of all the Command register, which turns on what the others set up.
        for (int bar = FirstBarRegister; bar < FirstBarRegister + (4 * (int)RegionIndex.Rom.Value); bar += 4)
            _device.WriteRegion(RegionIndex.Config, (ulong)bar, header.AsSpan(bar, 4));
        _device.WriteRegion(RegionIndex.Config, RomRegister, header.AsSpan(RomRegister, 4));
        _device.WriteRegion(RegionIndex.Config, InterruptLine, header.AsSpan(InterruptLine, 1));
        _device.WriteRegion(RegionIndex.Config, CommandRegister, header.AsSpan(CommandRegister, 2));
    }

    /// <summary>Whether the Command register lets it access memory; not so of a device that is gone, which reads as ones.</summary>
    internal bool IsBusMaster()
    {
        const int CommandRegister = 0x04, BusMaster = 4;
        if (_regions.Length <= RegionIndex.Config.Value || _regions[RegionIndex.Config.Value].Length < ConfigSpace.HeaderLength)
            return false;
        Span<byte> command = stackalloc byte[sizeof(ushort)];
        _device.ReadRegion(RegionIndex.Config, CommandRegister, command);
        ushort value = BitConverter.ToUInt16(command);
        return value != ushort.MaxValue && (value & BusMaster) != 0;
    }

    /// <summary>Reads config space from its start.</summary>
    /// <returns>False when it has less, does not answer, or once took too long for all of it: the caller keeps every call of the program waiting.</returns>
    internal bool TryReadConfig(Span<byte> bytes)
    {
        if (_isSlow || _regions.Length <= RegionIndex.Config.Value || _regions[RegionIndex.Config.Value].Length < (ulong)bytes.Length)
            return false;
        Deadline timeout = new(ConfigTimeout);
        try
        {
            for (int at = 0; at < bytes.Length && !_isSlow; at += ConfigWidth)
            {
                ReadPieces(_regions[RegionIndex.Config.Value], (ulong)at, bytes.Slice(at, Math.Min(ConfigWidth, bytes.Length - at)));
                _isSlow = timeout.HasPassed;
            }

            return !_isSlow;
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            return false;
        }
    }

    /// <summary>Writes part of config space.</summary>
    internal void TryWriteConfig(int offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            WritePieces(_regions[RegionIndex.Config.Value], (ulong)offset, bytes);
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            // It is gone.
        }
    }

    /// <summary>pread(2).</summary>
    internal long Read(ICaller caller, ulong offset, ulong address, ulong count)
    {
        long allowed = Check(offset, ref count, isWrite: false, out RegionInfo region, out ulong at);
        if (allowed <= 0)
            return allowed;
        Span<byte> chunk = stackalloc byte[ChunkBytes];
        for (ulong done = 0; done < count;)
        {
            Span<byte> piece = chunk[..(int)Math.Min((ulong)ChunkBytes, count - done)];
            ReadPieces(region, at + done, piece);
            if (!caller.TryWrite(address + done, piece))
                return Answer.Of(Errno.BadAddress);
            done += (uint)piece.Length;
        }

        return (long)count;
    }

    /// <summary>pwrite(2).</summary>
    internal long Write(ICaller caller, ulong offset, ulong address, ulong count)
    {
        long allowed = Check(offset, ref count, isWrite: true, out RegionInfo region, out ulong at);
        if (allowed <= 0)
            return allowed;
        Span<byte> chunk = stackalloc byte[ChunkBytes];
        for (ulong done = 0; done < count;)
        {
            Span<byte> piece = chunk[..(int)Math.Min((ulong)ChunkBytes, count - done)];
            if (!caller.TryRead(address + done, piece))
                return Answer.Of(Errno.BadAddress);
            WritePieces(region, at + done, piece);
            done += (uint)piece.Length;
        }

        return (long)count;
    }

    /// <summary>mmap(2).</summary>
    internal ServedMapping Map(ulong offset, ulong length)
    {
        if (!RegionOffsets.TryParse(offset, out RegionIndex index, out ulong start)
            || index.Value >= (uint)_regions.Length || !IsMappable(_regions[index.Value]))
        {
            return ServedMapping.Refused(Errno.InvalidArgument);
        }

        RegionInfo region = _regions[index.Value];
        ulong whole = (region.Length + AddressSpace.PageBytes - 1) & ~(AddressSpace.PageBytes - 1);
        if (start > whole || length > whole - start || (_mapping == BarMapping.Memory && !IsInArea(region.MmapAreas, start, length)))
            return ServedMapping.Refused(Errno.InvalidArgument);
        return new ServedMapping(Errno.None, _device, region.Index, start);
    }

    private static bool IsInArea(IReadOnlyList<MmapArea> areas, ulong start, ulong length) =>
        areas.Count == 0 || areas.Any(area => start >= area.Offset && start - area.Offset <= area.Length
            && length <= area.Length - (start - area.Offset));

    private void AddCapabilities(CapabilityChain chain, in RegionInfo region)
    {
        if (_mapping == BarMapping.Memory && region.MmapAreas.Count > 0)
        {
            vfio_region_sparse_mmap_area[] areas =
                [.. region.MmapAreas.Select(area => new vfio_region_sparse_mmap_area { offset = area.Offset, size = area.Length })];
            chain.Add(
                new vfio_region_info_cap_sparse_mmap { nr_areas = (uint)areas.Length }, SparseCapability,
                Blittable.AsBytes<vfio_region_sparse_mmap_area>(areas));
        }

        if (_mapping == BarMapping.All && _msix is { } msix && (uint)msix.TableBar == region.Index.Value)
            chain.Add(default(vfio_info_cap_header), MsixMappableCapability);
    }

    /// <summary>As vfio-pci: a BAR of memory, of a page or more.</summary>
    private bool IsMappable(in RegionInfo region) => region.Index.IsBar && region.Length >= AddressSpace.PageBytes
        && _isMemory[region.Index.Value] && (_mapping == BarMapping.All || (_mapping == BarMapping.Memory && region.IsMappable));

    /// <summary>Whether an access may be made.</summary>
    /// <param name="offset">Where in the file.</param>
    /// <param name="count">How many bytes; fewer where a BAR ends.</param>
    /// <param name="isWrite">Whether it is a write.</param>
    /// <param name="region">The region.</param>
    /// <param name="at">Where in the region.</param>
    /// <returns>1, 0 when there is nothing to do, or a negative errno.</returns>
    private long Check(ulong offset, ref ulong count, bool isWrite, out RegionInfo region, out ulong at)
    {
        region = default;
        at = 0;
        if (count == 0)
            return 0;
        if (!RegionOffsets.TryParse(offset, out RegionIndex index, out at) || index.Value >= (uint)_regions.Length)
            return Answer.Of(Errno.InvalidArgument);
        region = _regions[index.Value];
        if (region.Index == RegionIndex.Config)
            return at < region.Length && count <= region.Length - at ? 1 : Answer.Of(Errno.BadAddress);
        if (at >= region.Length || (isWrite && (region.Flags & RegionFlags.Write) == 0))
            return Answer.Of(Errno.InvalidArgument);
        count = Math.Min(count, region.Length - at);
        return 1;
    }

    /// <summary>Reads by naturally aligned pieces. The MSI-X table reads as all ones: it is reached through VFIO_DEVICE_SET_IRQS.</summary>
    private void ReadPieces(in RegionInfo region, ulong at, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int width = NextWidth(region, at, destination.Length, out bool isTable);
            Span<byte> piece = destination[..width];
            if (isTable)
                piece.Fill(byte.MaxValue);
            else
                _device.ReadRegion(region.Index, at, piece);
            destination = destination[width..];
            at += (uint)width;
        }
    }

    /// <summary>Writes by naturally aligned pieces. A write to the MSI-X table has no effect.</summary>
    private void WritePieces(in RegionInfo region, ulong at, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            int width = NextWidth(region, at, source.Length, out bool isTable);
            if (!isTable)
                _device.WriteRegion(region.Index, at, source[..width]);
            source = source[width..];
            at += (uint)width;
        }
    }

    private int NextWidth(in RegionInfo region, ulong at, int left, out bool isTable)
    {
        isTable = false;
        int most = Math.Min(left, region.Index.IsBar ? BarWidth : ConfigWidth);
        if (_msix is { } msix && region.Index.IsBar && (uint)msix.TableBar == region.Index.Value)
        {
            // Starts and ends of the table are multiples of 8.
            isTable = at >= msix.TableOffset && at - msix.TableOffset < msix.TableBytes;
        }

        int width = BarWidth;
        while (width > most || (at & (uint)(width - 1)) != 0)
            width >>= 1;
        return width;
    }

    private ConfigSpace ReadConfig()
    {
        // A device that is no PCI function has fewer regions.
        RegionInfo config = _regions.Length > RegionIndex.Config.Value ? _regions[RegionIndex.Config.Value] : RegionInfo.Absent(RegionIndex.Config);
        byte[] bytes = new byte[(int)Math.Min(config.Length, ConfigSpace.ConventionalLength)];
        if (bytes.Length > 0)
            _device.ReadRegion(RegionIndex.Config, 0, bytes);
        return new ConfigSpace(bytes);
    }
}
