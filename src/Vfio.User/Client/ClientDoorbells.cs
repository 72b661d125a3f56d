using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>The doorbells that a server offers, and their eventfds.</summary>
/// <remarks>Guarded by the client's lock. A region is queried once. The specification leaves it to the client to check what it gets, so
/// these are ignored: a doorbell outside its region, of a type or with flags that are not known, or whose descriptor is no
/// eventfd, to which a write could block.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
internal sealed class ClientDoorbells(ClientChannel channel, string name) : IDisposable
{
    private const int MaxBytes = 4096;
    private const uint IsPio = 2;
    private readonly Dictionary<RegionIndex, Doorbell[]> _known = [];
    private List<EventFd> _events = [];

    /// <summary>The doorbells of a region; none when the server does not know the command.</summary>
    /// <param name="region">Its number and length.</param>
    internal Doorbell[] Get(in RegionInfo region)
    {
        if (_known.TryGetValue(region.Index, out Doorbell[]? known))
            return known;
        Doorbell[] asked = region.Length == 0 ? [] : Ask(region);
        _known.Add(region.Index, asked);
        return asked;
    }

    /// <summary>Returns what is to be disposed, and has no doorbells any more.</summary>
    internal IDisposable Take()
    {
        ClientDoorbells taken = new(channel, name) { _events = _events };
        _events = [];
        _known.Clear();
        return taken;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (EventFd held in _events)
            held.Dispose();
        _events.Clear();
        _known.Clear();
    }

    private Doorbell[] Ask(in RegionInfo region)
    {
        RegionIoFdsMessage request = new() { ArgSize = MaxBytes, Index = region.Index.Value };
        using DescriptorQueue kept = new();
        Errno error = channel.Request(
            Command.DeviceGetRegionIoFds, Blittable.AsBytes(ref request), default, default, kept, out ReadOnlySpan<byte> reply);
        if (error is Errno.NotSupported or Errno.NotImplemented or Errno.InvalidArgument or Errno.NoSuchOperation)
            return [];
        if (error != Errno.None)
            throw new VfioException($"doorbells of {region.Index}", name, error);
        if (!Blittable.TryRead(reply, out RegionIoFdsMessage message) || message.Index != request.Index)
            throw channel.Break(Errno.Protocol, $"its doorbells of {region.Index} contradict themselves");
        ReadOnlySpan<byte> rest = reply[Blittable.SizeOf<RegionIoFdsMessage>()..];

        // The specification leaves the stride open. When the buffer is too small for all, the reply has none.
        int stride = message.Count == 0 ? 0 : (int)((uint)rest.Length / message.Count);
        if (stride < Blittable.SizeOf<SubRegionIoEventFd>() || message.ArgSize > MaxBytes)
            return [];
        return Read(region, rest, (int)message.Count, stride, kept);
    }

    private Doorbell[] Read(in RegionInfo region, ReadOnlySpan<byte> rest, int count, int stride, DescriptorQueue descriptors)
    {
        List<EventFd?> events = [];
        while (descriptors.Take() is FileDescriptor descriptor)
        {
            EventFd? held = EventFd.TryHold(descriptor);
            descriptor.Dispose();
            events.Add(held);
            if (held is not null)
                _events.Add(held);
        }

        List<Doorbell> found = [];
        for (int i = 0; i < count; i++)
        {
            SubRegionIoEventFd entry = Blittable.Read<SubRegionIoEventFd>(rest[(i * stride)..]);

            // 8 bytes more are an extension of libvfio-user's, which stands before the value.
            ulong match = stride == 48 ? Blittable.Read<ulong>(rest[((i * stride) + 40)..]) : entry.DataMatch;
            bool isKnown = entry.Type == SubRegionIoEventFd.IoEventFd && (entry.Flags & ~(SubRegionIoEventFd.HasDataMatch | IsPio)) == 0;
            bool isInside = entry.Size <= sizeof(ulong) && entry.Offset < region.Length && entry.Size <= region.Length - entry.Offset;
            if (isKnown && isInside && entry.DescriptorIndex < (uint)events.Count && events[(int)entry.DescriptorIndex] is EventFd held)
            {
                bool matches = (entry.Flags & SubRegionIoEventFd.HasDataMatch) != 0;
                found.Add(new Doorbell(entry.Offset, (int)entry.Size, matches ? match : null) { Event = held });
            }
        }

        return [.. found];
    }
}
