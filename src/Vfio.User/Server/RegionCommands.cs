using Vfio.Native;

namespace Vfio.User;

/// <summary>DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, REGION_READ and REGION_WRITE of one session.</summary>
internal sealed class RegionCommands
{
    private readonly IVfioDevice _device;
    private readonly RegionInfo[] _regions;
    private readonly int _maxTransferBytes;
    private readonly bool _passesDescriptors;

    /// <summary>Asks the device for its regions, which do not change while it is open.</summary>
    /// <param name="device">The device.</param>
    /// <param name="maxTransferBytes">Data bytes of one message.</param>
    /// <param name="passesDescriptors">Whether the client takes descriptors at all.</param>
    internal RegionCommands(IVfioDevice device, int maxTransferBytes, bool passesDescriptors)
    {
        _device = device;
        _maxTransferBytes = maxTransferBytes;
        _passesDescriptors = passesDescriptors;
        _regions = new RegionInfo[device.Info.RegionCount];
        for (int i = 0; i < _regions.Length; i++)
            _regions[i] = device.GetRegion(new RegionIndex((uint)i));
    }

    /// <summary>DEVICE_GET_INFO.</summary>
    internal Errno DescribeDevice(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = Judge.DeviceGetInfo(body);
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
        Errno verdict = Judge.DeviceGetRegionInfo(body, _regions.Length, out RegionInfoMessage message);
        if (verdict != Errno.None)
            return verdict;
        ref readonly RegionInfo region = ref _regions[(int)message.Index];
        bool mappable = region.IsMappable && _passesDescriptors;
        IReadOnlyList<MappableArea> areas = mappable ? region.MappableAreas : [];
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
            reply.Descriptor = region.File;
        return Errno.None;
    }

    /// <summary>REGION_READ: straight into the reply.</summary>
    internal Errno Read(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = Judge.RegionRead(body, _regions, _maxTransferBytes, out RegionAccess access);
        if (verdict != Errno.None)
            return verdict;
        reply.Append(access);
        if (access.Count > 0)
            _device.ReadRegion(new RegionIndex(access.Region), access.Offset, reply.Append((int)access.Count));
        return Errno.None;
    }

    /// <summary>REGION_WRITE: straight from the message.</summary>
    internal Errno Write(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = Judge.RegionWrite(body, _regions, _maxTransferBytes, out RegionAccess access);
        if (verdict != Errno.None)
            return verdict;
        if (access.Count > 0)
            _device.WriteRegion(new RegionIndex(access.Region), access.Offset, body[Blittable.SizeOf<RegionAccess>()..]);
        reply.Append(access);
        return Errno.None;
    }

    private static void AppendAreas(IReadOnlyList<MappableArea> areas, ReplyBuffer reply)
    {
        reply.Append(new CapabilityHeader { Id = CapabilityHeader.SparseMmap, Version = 1 });
        reply.Append(new SparseMmapMessage { AreaCount = (uint)areas.Count });
        foreach (MappableArea area in areas)
            reply.Append(new SparseMmapArea { Offset = area.Offset, Size = area.Length });
    }
}
