using System.Text;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>Every command, with parameters for all fields; their defaults make it well-formed.</summary>
internal static class Requests
{
    /// <summary>The capabilities that a client of this library proposes, without the twin socket.</summary>
    internal const string AllCapabilities =
        """{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"max_dma_maps":65535,"pgsizes":4096,"write_multiple":true}}""";

    internal static Request Version(string? json = AllCapabilities, ushort major = 0, ushort minor = 1, bool nul = true) =>
        new(Command.Version,
        [
            .. Bytes(new VersionMessage { Major = major, Minor = minor }),
            .. json is null ? [] : Encoding.UTF8.GetBytes(json),
            .. json is not null && nul ? new byte[1] : [],
        ]);

    internal static Request DmaMap(
        ulong address, ulong size, DmaAccess flags = DmaAccess.ReadWrite, ulong offset = 0, uint argSize = 32) =>
        new(Command.DmaMap, Bytes(new DmaMapMessage { ArgSize = argSize, Flags = flags, Offset = offset, Address = address, Size = size }));

    internal static Request DmaUnmap(ulong address, ulong size, uint flags = 0, uint argSize = 24) =>
        new(Command.DmaUnmap, Bytes(new DmaUnmapMessage { ArgSize = argSize, Flags = (DmaUnmapFlags)flags, Address = address, Size = size }));

    internal static Request DeviceInfo(uint argSize = 16) =>
        new(Command.DeviceGetInfo, Bytes(new DeviceInfoMessage { ArgSize = argSize }));

    internal static Request RegionInfo(uint index, uint argSize = 32) =>
        new(Command.DeviceGetRegionInfo, Bytes(new RegionInfoMessage { ArgSize = argSize, Index = index }));

    internal static Request RegionIoFds(uint index, uint argSize = 16, uint flags = 0, uint count = 0) =>
        new(Command.DeviceGetRegionIoFds, [.. Bytes(argSize), .. Bytes(flags), .. Bytes(index), .. Bytes(count)]);

    internal static Request IrqInfo(uint index, uint argSize = 16) =>
        new(Command.DeviceGetIrqInfo, Bytes(new IrqInfoMessage { ArgSize = argSize, Index = index }));

    internal static Request SetIrqs(uint index, IrqSetFlags flags, uint start, uint count, byte[]? data = null, uint? argSize = null) =>
        new(Command.DeviceSetIrqs,
        [
            .. Bytes(new SetIrqsMessage
            {
                ArgSize = argSize ?? 20 + (uint)(data?.Length ?? 0), Flags = flags, Index = index, Start = start, Count = count,
            }),
            .. data ?? [],
        ]);

    internal static Request Read(uint region, ulong offset, uint count) =>
        new(Command.RegionRead, Bytes(new RegionAccessMessage { Offset = offset, Region = region, Count = count }));

    internal static Request Write(uint region, ulong offset, byte[] data, uint? count = null) =>
        new(Command.RegionWrite,
            [.. Bytes(new RegionAccessMessage { Offset = offset, Region = region, Count = count ?? (uint)data.Length }), .. data]);

    internal static Request Reset() => new(Command.DeviceReset, []);

    /// <summary>REGION_WRITE_MULTI: a count, then 24 bytes a write.</summary>
    internal static Request WriteMulti(ulong count, params (ulong Offset, uint Region, uint Count, ulong Data)[] writes) =>
        new(Command.RegionWriteMulti,
        [
            .. Bytes(count),
            .. writes.SelectMany(write => (byte[])[.. Bytes(write.Offset), .. Bytes(write.Region), .. Bytes(write.Count), .. Bytes(write.Data)]),
        ]);

    /// <summary>DEVICE_FEATURE: the index in bits 15:0, get, set and probe in bits 16, 17 and 18.</summary>
    internal static Request Feature(uint flags, byte[]? data = null, uint argSize = 4096) =>
        new(Command.DeviceFeature, [.. Bytes(argSize), .. Bytes(flags), .. data ?? []]);

    internal static Request MigrationRead(uint size, uint? argSize = null) =>
        new(Command.MigDataRead, [.. Bytes(argSize ?? size + 8), .. Bytes(size)]);

    internal static Request MigrationWrite(byte[] data, uint? size = null) =>
        new(Command.MigDataWrite, [.. Bytes((uint)data.Length + 8), .. Bytes(size ?? (uint)data.Length), .. data]);

    /// <summary>The bytes of a number or struct.</summary>
    internal static byte[] Bytes<T>(T value)
        where T : unmanaged => Blittable.AsBytes(ref value).ToArray();
}
