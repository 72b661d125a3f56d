using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, REGION_READ and REGION_WRITE of one session.</summary>
internal sealed class RegionCommands : IDisposable
{
    /// <summary>Reads of this size and more are sent from the region's own memory, where it can be mapped.</summary>
    private const int LargeBytes = 16 << 10;

    private readonly IVfioDevice _device;
    private readonly RegionInfo[] _regions;
    private readonly SharedMemory?[] _memory;
    private readonly int _maxTransferBytes;
    private readonly bool _passesFiles;
    private readonly DoorbellCommand _doorbells;

    /// <summary>Queries the device's regions, which do not change while it is open.</summary>
    /// <param name="device">The device.</param>
    /// <param name="maxTransferBytes">Data bytes of one message.</param>
    /// <param name="maxDescriptors">How many descriptors the client takes in one message.</param>
    /// <param name="keepsFiles">See <see cref="VfioUserServerOptions.KeepsFiles"/>.</param>
    internal RegionCommands(IVfioDevice device, int maxTransferBytes, int maxDescriptors, bool keepsFiles)
    {
        _device = device;
        _maxTransferBytes = maxTransferBytes;
        _passesFiles = maxDescriptors > 0 && !keepsFiles;
        _doorbells = new DoorbellCommand(device, maxDescriptors);
        _regions = new RegionInfo[device.Info.RegionCount];
        _memory = new SharedMemory?[_regions.Length];
        for (int i = 0; i < _regions.Length; i++)
            _regions[i] = device.GetRegion(new RegionIndex((uint)i));
    }

    /// <summary>DEVICE_GET_INFO.</summary>
    internal Errno DescribeDevice(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.DeviceGetInfo(body);
        if (verdict != Errno.None)
            return verdict;
        DeviceInfo info = _device.Info;
        reply.Append(new DeviceInfoMessage
        {
            ArgSize = (uint)Blittable.SizeOf<DeviceInfoMessage>(),
            Flags = info.Flags,
            RegionCount = (uint)info.RegionCount,
            InterruptCount = (uint)info.InterruptCount,
        });
        return Errno.None;
    }

    /// <summary>DEVICE_GET_REGION_INFO: the capabilities only where they fit, the size they need always.</summary>
    internal Errno DescribeRegion(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.DeviceGetRegionInfo(body, _regions.Length, out RegionInfoMessage message);
        if (verdict != Errno.None)
            return verdict;
        ref readonly RegionInfo region = ref _regions[(int)message.Index];
        bool mappable = region is { IsMappable: true, IsFilePrivate: false } && _passesFiles;
        IReadOnlyList<MmapArea> areas = mappable ? region.MmapAreas : [];
        int fixedBytes = Blittable.SizeOf<RegionInfoMessage>();
        int headBytes = Blittable.SizeOf<CapabilityHeader>() + Blittable.SizeOf<SparseMmapMessage>();
        int needed = areas.Count == 0 ? fixedBytes : fixedBytes + headBytes + (areas.Count * Blittable.SizeOf<SparseMmapArea>());
        // The flag says that capabilities are in this reply, not that there are any: QEMU refuses a flag without an offset.
        bool hasRoom = areas.Count > 0 && message.ArgSize >= (uint)needed;
        reply.Append(new RegionInfoMessage
        {
            ArgSize = (uint)needed,
            Flags = (uint)(mappable ? region.Flags : region.Flags & ~RegionFlags.Map) | (hasRoom ? RegionInfoMessage.HasCapabilities : 0),
            Index = message.Index,
            CapabilityOffset = hasRoom ? (uint)fixedBytes : 0,
            Size = region.Length,
            Offset = mappable ? region.FileOffset : 0,
        });
        if (hasRoom)
            AppendAreas(areas, reply);
        if (mappable)
            reply.Descriptors = [region.File!];
        return Errno.None;
    }

    /// <summary>REGION_READ: straight into the reply, or from the region's memory without a copy, where it can be mapped.</summary>
    internal Errno Read(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.RegionRead(body, _regions, _maxTransferBytes, out RegionAccessMessage access);
        if (verdict != Errno.None)
            return verdict;
        reply.Append(access);
        int count = (int)access.Count;
        if (count >= LargeBytes && FindMemory(access) is SharedMemory memory)
            reply.Tail = (memory, access.Offset, count);
        else if (count > 0)
            _device.ReadRegion(new RegionIndex(access.Region), access.Offset, reply.Append(count));
        return Errno.None;
    }

    /// <summary>REGION_WRITE: straight from the message.</summary>
    internal Errno Write(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.RegionWrite(body, _regions, _maxTransferBytes, out RegionAccessMessage access);
        if (verdict != Errno.None)
            return verdict;
        if (access.Count > 0)
            _device.WriteRegion(new RegionIndex(access.Region), access.Offset, body[Blittable.SizeOf<RegionAccessMessage>()..]);
        reply.Append(access);
        return Errno.None;
    }

    /// <summary>REGION_WRITE_MULTI: straight from the message.</summary>
    internal Errno WriteMulti(ReadOnlySpan<byte> body, ReplyBuffer reply) => MultiWriteCommand.Execute(_device, _regions, body, reply);

    /// <summary>DEVICE_GET_REGION_IO_FDS.</summary>
    internal Errno DescribeDoorbells(ReadOnlySpan<byte> body, ReplyBuffer reply) => _doorbells.Describe(body, _regions.Length, reply);

    /// <summary>Unmaps what was mapped here.</summary>
    public void Dispose()
    {
        foreach (SharedMemory? memory in _memory)
            memory?.Dispose();
    }

    /// <summary>The memory of a region, mapped when it is first needed; null where the range cannot be mapped as a whole.</summary>
    private SharedMemory? FindMemory(in RegionAccessMessage access)
    {
        ref readonly RegionInfo region = ref _regions[(int)access.Region];
        if (!region.IsMappable || !IsInArea(region.MmapAreas, access))
            return null;

        // A device behind a socket may provide any file.
        if (_memory[access.Region] is null && FileIdentity.Of(region.File!).IsSafeToMap(region.FileOffset, region.Length))
            _memory[access.Region] = SharedMemory.Map(region.File!, region.FileOffset, region.Length, writable: false);
        return _memory[access.Region];
    }

    private static bool IsInArea(IReadOnlyList<MmapArea> areas, in RegionAccessMessage access)
    {
        if (areas.Count == 0)
            return true;
        for (int i = 0; i < areas.Count; i++)
        {
            MmapArea area = areas[i];
            if (access.Offset >= area.Offset && access.Offset - area.Offset <= area.Length
                && access.Count <= area.Length - (access.Offset - area.Offset))
            {
                return true;
            }
        }

        return false;
    }

    private static void AppendAreas(IReadOnlyList<MmapArea> areas, ReplyBuffer reply)
    {
        reply.Append(new CapabilityHeader { Id = CapabilityHeader.SparseMmap, Version = 1 });
        reply.Append(new SparseMmapMessage { AreaCount = (uint)areas.Count });
        foreach (MmapArea area in areas)
            reply.Append(new SparseMmapArea { Offset = area.Offset, Size = area.Length });
    }
}
