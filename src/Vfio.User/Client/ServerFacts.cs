using Vfio.Native;
using Vfio.Pci;

namespace Vfio.User;

/// <summary>Asks a server what it and its device are, and believes only what can be.</summary>
/// <remarks>Guarded by the client's gate.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
/// <param name="options">Limits.</param>
internal sealed class ServerFacts(ClientChannel channel, string name, VfioUserClientOptions options)
{
    private bool _isPci;

    /// <summary>VERSION: agrees on a version.</summary>
    /// <param name="twin">The socket for the server's own commands; null when the server has none. The caller owns it.</param>
    /// <returns>What the server says it can do.</returns>
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
    internal RegionInfo AskRegion(RegionIndex region)
    {
        // With room for a few areas one question is enough; a server with more says how much it needs.
        uint room = 256;
        int most = Math.Min(RegionInfoReply.MaxBytes, options.MaxDataTransferBytes);
        while (true)
        {
            RegionInfoMessage request = new() { ArgSize = room, Index = region.Value };
            using DescriptorQueue kept = new();
            Errno error = channel.Request(
                Command.DeviceGetRegionInfo, Blittable.AsBytes(ref request), default, default, kept, out ReadOnlySpan<byte> reply);
            FileDescriptor? file = kept.Take();
            if (error != Errno.None
                || !RegionInfoReply.TryRead(reply, region.Value, out RegionInfoMessage message, out MappableArea[] areas)
                || (_isPci && region == RegionIndex.Config && message.Size > ConfigSpace.ExtendedLength))
            {
                file?.Dispose();
                throw error != Errno.None
                    ? new VfioException($"info of {region}", name, error)
                    : channel.Break(Errno.Protocol, $"its info of {region} contradicts itself");
            }

            if (message.ArgSize > room && message.ArgSize <= most)
            {
                room = message.ArgSize;
                file?.Dispose();
                continue;
            }

            RegionFlags flags = (RegionFlags)message.Flags & (RegionFlags.Read | RegionFlags.Write | RegionFlags.Map);
            if (file is null)
                return new RegionInfo(region, message.Size, flags & ~RegionFlags.Map);
            if ((flags & RegionFlags.Map) != 0)
                return new RegionInfo(region, message.Size, flags) { File = file, FileOffset = message.Offset, MappableAreas = areas };
            file.Dispose();
            return new RegionInfo(region, message.Size, flags);
        }
    }

    /// <summary>DEVICE_GET_IRQ_INFO.</summary>
    internal InterruptInfo AskInterrupt(InterruptIndex index)
    {
        IrqInfoMessage message = new() { ArgSize = (uint)Blittable.SizeOf<IrqInfoMessage>(), Index = index.Value };
        Errno error = channel.Request(Command.DeviceGetIrqInfo, Blittable.AsBytes(ref message), default, default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw new VfioException($"info of {index}", name, error);
        return !Blittable.TryRead(reply, out IrqInfoMessage info) || info.Index != index.Value || info.Count > Protocol.MaxVectors
            ? throw channel.Break(Errno.Protocol, $"its info of {index} contradicts itself")
            : new InterruptInfo(index, (int)info.Count, info.Flags);
    }

    private UnixSocket FindTwin(uint? index, DescriptorQueue descriptors)
    {
        for (uint i = 0; i < index; i++)
            descriptors.Take()?.Dispose();
        return index is not null && descriptors.Take() is FileDescriptor found
            ? new UnixSocket(found)
            : throw channel.Break(Errno.Protocol, "it promises a twin socket and sends none");
    }
}
