using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>DEVICE_GET_REGION_IO_FDS of one session: the doorbells that the device offers, as ioeventfds.</summary>
/// <remarks>No ioregionfd: no released kernel has them. A doorbell whose eventfd does not fit the message stays a
/// register that is written by message.</remarks>
/// <param name="device">The device.</param>
/// <param name="maxDescriptors">How many descriptors the client takes in one message.</param>
internal sealed class DoorbellCommand(IVfioDevice device, int maxDescriptors)
{
    private const int MaxSubRegions = 100;

    /// <summary>Describes a region's doorbells: all of them where they fit the client's buffer, else only how much space they
    /// need.</summary>
    internal Errno Describe(ReadOnlySpan<byte> body, int regionCount, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.DeviceGetRegionIoFds(body, regionCount, out RegionIoFdsMessage message);
        if (verdict != Errno.None)
            return verdict;
        Doorbell[] doorbells = [.. device.GetDoorbells(new RegionIndex(message.Index)).Where(bell => bell.Event is not null)];
        FileDescriptor[] descriptors =
            [.. doorbells.Select(bell => bell.Event!.Descriptor).Distinct().Take(Math.Min(maxDescriptors, UnixSocket.MaxDescriptors))];
        doorbells = [.. doorbells.Where(bell => descriptors.Contains(bell.Event!.Descriptor)).Take(MaxSubRegions)];
        int needed = Blittable.SizeOf<RegionIoFdsMessage>() + (doorbells.Length * Blittable.SizeOf<SubRegionIoEventFd>());
        reply.Append(new RegionIoFdsMessage { ArgSize = (uint)needed, Index = message.Index, Count = (uint)doorbells.Length });
        if (doorbells.Length == 0 || message.ArgSize < (uint)needed)
            return Errno.None;
        foreach (Doorbell bell in doorbells)
            reply.Append(Wire(bell, Array.IndexOf(descriptors, bell.Event!.Descriptor)));
        reply.Descriptors = descriptors;
        return Errno.None;
    }

    private static SubRegionIoEventFd Wire(in Doorbell bell, int descriptor) => new()
    {
        Offset = bell.Offset,
        Size = (ulong)bell.Width,
        DescriptorIndex = (uint)descriptor,
        Type = SubRegionIoEventFd.IoEventFd,
        Flags = bell.Match is null ? 0 : SubRegionIoEventFd.HasDataMatch,
        DataMatch = bell.Match ?? 0,
    };
}
