using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Pci;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Queries a server and its device, and validates each reply.</summary>
/// <remarks>Guarded by the client's lock.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
/// <param name="options">Limits.</param>
internal sealed class ServerFacts(ClientChannel channel, string name, VfioUserClientOptions options)
{
    private bool _isPci;

    /// <summary>VERSION: agrees on a version.</summary>
    /// <param name="twin">The socket for the server's own commands; null when the server has none. The caller owns it.</param>
    /// <returns>The server's capabilities.</returns>
    internal Capabilities Negotiate(out UnixSocket? twin)
    {
        VersionMessage version = new() { Major = Protocol.MajorVersion, Minor = Protocol.MinorVersion };
        byte[] capabilities = CapabilitiesJson.Write(new Capabilities
        {
            MaxMessageDescriptors = Protocol.MaxDescriptors,
            MaxDataTransferBytes = (ulong)options.MaxDataTransferBytes,
            MaxDmaMaps = Protocol.DefaultDmaMaps,
            PageSizes = Protocol.PageBytes,
            WriteMultiple = true,
            TwinSocket = options.TwinSocket ? true : null,
            MigrationPageBytes = Protocol.PageBytes,
        });
        using DescriptorQueue kept = new();
        Errno error = channel.Request(
            Command.Version, Blittable.AsBytes(ref version), capabilities, default, kept, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw new VfioException("VERSION", name, error, "the server does not accept this client");
        if (!Blittable.TryRead(reply, out VersionMessage agreed)
            || !CapabilitiesJson.TryRead(reply[Blittable.SizeOf<VersionMessage>()..], out Capabilities server))
        {
            throw channel.Break(Errno.Protocol, "its VERSION cannot be read");
        }

        if (agreed.Major != version.Major || agreed.Minor > version.Minor)
            throw channel.Break(Errno.Protocol, $"it speaks version {agreed.Major}.{agreed.Minor}, {version.Major}.{version.Minor} was offered");
        if (server.MaxDataTransferBytes is 0)
            throw channel.Break(Errno.Protocol, "it takes no data at all (max_data_xfer_size 0)");
        twin = options.TwinSocket && server.TwinSocket is true ? FindTwin(server.TwinSocketDescriptor, kept) : null;
        return server;
    }

    /// <summary>DEVICE_GET_INFO.</summary>
    internal DeviceInfo AskDevice()
    {
        DeviceInfoMessage message = new() { ArgSize = (uint)Blittable.SizeOf<DeviceInfoMessage>() };
        Errno error = channel.Request(Command.DeviceGetInfo, Blittable.AsBytes(ref message), default, default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw new VfioException("DEVICE_GET_INFO", name, error);
        if (!Blittable.TryRead(reply, out DeviceInfoMessage info))
            throw channel.Break(Errno.Protocol, "its DEVICE_GET_INFO is too short");
        _isPci = info.Flags.HasFlag(DeviceFlags.Pci);
        return info.RegionCount > Protocol.MaxIndexes || info.InterruptCount > Protocol.MaxIndexes
            ? throw channel.Break(Errno.Protocol, $"it claims {info.RegionCount} regions and {info.InterruptCount} kinds of interrupt")
            : new DeviceInfo(info.Flags, (int)info.RegionCount, (int)info.InterruptCount);
    }

    /// <summary>DEVICE_GET_REGION_INFO; the caller owns the descriptor in it.</summary>
    /// <returns>An absent region where the server does not know that one, which is an error for a BAR and config space.</returns>
    internal RegionInfo AskRegion(RegionIndex region)
    {
        // With space for a few mmap areas one request is enough; a server with more reports how much it needs.
        uint room = 256;
        uint most = (uint)Math.Min(RegionInfoReply.MaxBytes, options.MaxDataTransferBytes);
        while (true)
        {
            RegionInfoMessage request = new() { ArgSize = room, Index = region.Value };
            using DescriptorQueue kept = new();
            Errno error = channel.Request(
                Command.DeviceGetRegionInfo, Blittable.AsBytes(ref request), default, default, kept, out ReadOnlySpan<byte> reply);
            if (IsUnknown(error) && !region.IsBar && region != RegionIndex.Config)
                return RegionInfo.Absent(region);
            if (error != Errno.None)
                throw new VfioException($"info of {region}", name, error);
            if (!RegionInfoReply.TryRead(reply, region.Value, out RegionInfoMessage message, out MmapArea[]? areas)
                || (_isPci && region == RegionIndex.Config && message.Size > ConfigSpace.ExtendedLength))
            {
                throw channel.Break(Errno.Protocol, $"its info of {region} contradicts itself");
            }

            if (message.ArgSize > room && message.ArgSize <= most)
            {
                // A server whose needs grow with every answer soon reaches the limit.
                room = Math.Min(most, Math.Max(message.ArgSize, 2 * room));
                continue;
            }

            // A capability that is not in the reply may restrict the mmap areas.
            areas ??= message.ArgSize > room ? [] : null;
            return RegionOf(region, message, areas, kept);
        }
    }

    /// <summary>DEVICE_GET_IRQ_INFO.</summary>
    /// <returns>An absent kind where the server does not know that one.</returns>
    internal InterruptInfo AskInterrupt(InterruptIndex index)
    {
        IrqInfoMessage message = new() { ArgSize = (uint)Blittable.SizeOf<IrqInfoMessage>(), Index = index.Value };
        Errno error = channel.Request(Command.DeviceGetIrqInfo, Blittable.AsBytes(ref message), default, default, out ReadOnlySpan<byte> reply);
        if (IsUnknown(error))
            return new InterruptInfo(index, 0, InterruptFlags.None);
        if (error != Errno.None)
            throw new VfioException($"info of {index}", name, error);
        return !Blittable.TryRead(reply, out IrqInfoMessage info) || info.Index != index.Value || info.Count > Protocol.MaxVectors
            ? throw channel.Break(Errno.Protocol, $"its info of {index} contradicts itself")
            : new InterruptInfo(index, (int)info.Count, info.Flags);
    }

    /// <summary>Whether an error means that the server does not know the index, rather than that it failed.</summary>
    private static bool IsUnknown(Errno error) => error
        is Errno.InvalidArgument or Errno.NoSuchOperation or Errno.NotSupported or Errno.NotImplemented
        or Errno.NoDevice or Errno.NoDeviceOrAddress or Errno.NoEntry;

    private static RegionInfo RegionOf(
        RegionIndex region, in RegionInfoMessage message, MmapArea[]? areas, DescriptorQueue descriptors)
    {
        RegionFlags flags = (RegionFlags)message.Flags & (RegionFlags.Read | RegionFlags.Write | RegionFlags.Map);
        bool isMappable = flags.HasFlag(RegionFlags.Map) && areas is not { Length: 0 };
        return isMappable && descriptors.Take() is FileDescriptor file
            ? new RegionInfo(region, message.Size, flags) { File = file, FileOffset = message.Offset, MmapAreas = areas ?? [] }
            : new RegionInfo(region, message.Size, flags & ~RegionFlags.Map);
    }

    private UnixSocket FindTwin(uint? index, DescriptorQueue descriptors)
    {
        if (index is null || index >= (uint)descriptors.Count)
            throw channel.Break(Errno.Protocol, $"it promises a twin socket as descriptor {index} and sends {descriptors.Count}");
        for (uint i = 0; i < index; i++)
            descriptors.Take()!.Dispose();
        UnixSocket twin = new(descriptors.Take()!);
        if (twin.IsUnixStream)
            return twin;

        // Only a shutdown of a UNIX stream socket is sure to end a receive.
        twin.Dispose();
        throw channel.Break(Errno.Protocol, "its twin socket is no UNIX stream socket");
    }
}
