using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Providers;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>One negotiated connection to a server, with a method for each command.</summary>
/// <remarks>Guarded by the client's lock, except for <see cref="Shutdown"/>. Large accesses are divided into what the server
/// takes.</remarks>
internal sealed class ServerConnection : IDisposable
{
    private readonly string _name;
    private readonly VfioUserClientOptions _options;
    private readonly DmaMappings _mappings;
    private readonly ClientChannel _channel;
    private readonly ServerFacts _facts;
    private readonly ClientDoorbells _doorbells;
    private readonly InterruptRequests _interruptRequests;
    private readonly MultiReads _multiReads;
    private readonly MultiWrites? _multiWrites;
    private readonly TwinPump? _twin;
    private readonly DmaPump _pump;
    private readonly RegionInfo?[] _regions = [];
    private readonly InterruptInfo?[] _interrupts = [];
    private readonly int _maxTransferBytes;
    private bool _postsWrites;

    /// <summary>Negotiates over a connected socket and queries the device.</summary>
    /// <param name="socket">The connection; owned from here on, also when this throws.</param>
    /// <param name="name">The server's address, for messages.</param>
    /// <param name="gate">The client's lock.</param>
    /// <param name="mappings">The memory that the server may access.</param>
    /// <param name="options">Limits and timeouts.</param>
    /// <param name="handshake">The deadline of all requests until <see cref="EndHandshake"/>.</param>
    /// <exception cref="VfioException">The server refused, or does not speak the protocol.</exception>
    internal ServerConnection(
        UnixSocket socket, string name, object gate, DmaMappings mappings, VfioUserClientOptions options, Deadline handshake)
    {
        _name = name;
        _mappings = mappings;
        _options = options;
        _channel = new ClientChannel(socket, name, mappings, options, handshake);
        _facts = new ServerFacts(_channel, name, options);
        _pump = new DmaPump(gate, _channel);
        _doorbells = new ClientDoorbells(_channel, name);
        _multiReads = new MultiReads(_channel, name);
        try
        {
            Capabilities server = _facts.Negotiate(out UnixSocket? twin);
            _twin = twin is null ? null : new TwinPump(twin, _channel, mappings, options);
            _maxTransferBytes = (int)Math.Min(
                server.MaxDataTransferBytes ?? Protocol.DefaultDataTransferBytes, (ulong)options.MaxDataTransferBytes);
            int maxDescriptors = (int)Math.Min(server.MaxMessageDescriptors ?? 1, UnixSocket.MaxDescriptors);
            _interruptRequests = new InterruptRequests(_channel, name, maxDescriptors, _maxTransferBytes);
            Migration = new MigrationRequests(_channel, name, _maxTransferBytes);
            Info = _facts.AskDevice();
            _regions = new RegionInfo?[Info.RegionCount];
            _interrupts = new InterruptInfo?[Info.InterruptCount];
            _postsWrites = options.PostedWrites;
            if (server.WriteMultiple is true)
                _multiWrites = new MultiWrites(_channel, name);
            KeepAnswering();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The properties of the device.</summary>
    internal DeviceInfo Info { get; }

    /// <summary>Migration and dirty page tracking.</summary>
    internal MigrationRequests Migration { get; }

    /// <summary>Whether the server went away, rather than broke the protocol.</summary>
    internal bool IsLost => _channel.IsLost;

    /// <summary>Describes a region; queried once.</summary>
    internal RegionInfo GetRegion(RegionIndex region)
    {
        if (region.Value >= (uint)_regions.Length)
            throw new VfioException($"info of {region}", _name, Errno.InvalidArgument, $"the device has {_regions.Length} regions");

        // The first reply comes after all posted writes; from then on stores may bypass the socket.
        RegionInfo info = _regions[region.Value] ??= _facts.AskRegion(region);
        _postsWrites &= !info.IsMappable;
        return info;
    }

    /// <summary>Describes a kind of interrupt; queried once.</summary>
    internal InterruptInfo GetInterrupt(InterruptIndex index)
    {
        if (index.Value >= (uint)_interrupts.Length)
        {
            throw new VfioException(
                $"info of {index}", _name, Errno.InvalidArgument, $"the device has {_interrupts.Length} kinds of interrupt");
        }

        return _interrupts[index.Value] ??= _facts.AskInterrupt(index);
    }

    /// <summary>The doorbells of a region; queried once.</summary>
    internal IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => _doorbells.Get(GetRegion(region));

    /// <summary>REGION_READ.</summary>
    internal void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            RegionAccessMessage access = Access(region, offset, destination.Length);
            Errno error = _channel.Request(
                Command.RegionRead, Blittable.AsBytes(ref access), default, default, out ReadOnlySpan<byte> reply);
            if (error != Errno.None)
                throw Refused("read", region, offset, error);
            int count = (int)access.Count;
            ReadOnlySpan<byte> data = Echo(Command.RegionRead, access, reply, count);
            data.CopyTo(destination);
            destination = destination[count..];
            offset += (ulong)count;
        }
    }

    /// <summary>Several REGION_READs under way at once.</summary>
    internal void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values) => _multiReads.Read(reads, values);

    /// <summary>REGION_WRITE, or the signal of a doorbell.</summary>
    internal void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        if (_options.RingDoorbells && TryRing(region, offset, source))
            return;
        while (source.Length > 0)
        {
            RegionAccessMessage access = Access(region, offset, source.Length);
            int count = (int)access.Count;
            WriteOnce(region, offset, ref access, source[..count]);
            source = source[count..];
            offset += (ulong)count;
        }
    }

    /// <summary>REGION_WRITE_MULTI where the server takes it.</summary>
    internal void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        if (_multiWrites is not null && writes.Length > 1)
        {
            _multiWrites.Send(writes, _postsWrites);
            return;
        }

        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            WriteRegion(write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }
    }

    /// <summary>DEVICE_SET_IRQS.</summary>
    internal void SetInterrupts(in InterruptRequest request) => _interruptRequests.Send(request);

    /// <summary>DMA_MAP. The mapping must be among the mappings already: the server may request the memory as soon as it has the
    /// message.</summary>
    internal void Map(in DmaMapping mapping)
    {
        SharedMemory? shared = mapping.Memory.Shared;
        DmaMapMessage message = new()
        {
            ArgSize = (uint)Blittable.SizeOf<DmaMapMessage>(),
            Flags = mapping.Access,
            Offset = shared is null ? 0 : shared.FileOffset + mapping.MemoryOffset,
            Address = mapping.Start.Value,
            Size = mapping.Length,
        };
        ReadOnlySpan<FileDescriptor> descriptors = shared is null ? default : [shared.File];
        _twin?.Start();
        Errno error = _channel.Request(Command.DmaMap, Blittable.AsBytes(ref message), default, descriptors, out _);
        if (error != Errno.None)
            throw new VfioException("DMA_MAP", _name, error, $"{mapping.Length} bytes at {mapping.Start}");
    }

    /// <summary>DMA_UNMAP of one mapping.</summary>
    internal void Unmap(Iova start, ulong length)
    {
        Errno error = TryUnmap(start, length, DmaUnmapFlags.None);
        if (error != Errno.None)
            throw new VfioException("DMA_UNMAP", _name, error, $"{length} bytes at {start}");
    }

    /// <summary>DMA_UNMAP of all; the flag is QEMU's and libvfio-user's, and a server of the bare specification refuses it.</summary>
    internal bool TryUnmapAll() => TryUnmap(default, 0, DmaUnmapFlags.All) == Errno.None;

    /// <summary>DEVICE_RESET.</summary>
    internal void Reset()
    {
        Errno error = _channel.Request(Command.DeviceReset, default, default, default, out _);
        if (error != Errno.None)
            throw new VfioException("DEVICE_RESET", _name, error);
    }

    /// <summary>Starts or stops the thread that answers, depending on whether the server may send requests.</summary>
    internal void KeepAnswering()
    {
        if (_twin is not null)
        {
            if (_options.AlwaysAnswer || _mappings.Count > 0)
                _twin.Start();
            return;
        }

        _pump.Set(_options.AlwaysAnswer || _mappings.ByMessage > 0);
    }

    /// <summary>Makes a request that is under way in another thread fail.</summary>
    internal void Shutdown() => _channel.Shutdown();

    /// <summary>Records that the connection is closed: every later request fails.</summary>
    internal void NoteClosed() => _channel.NoteClosed();

    /// <summary>Breaks the connection: every later request fails.</summary>
    internal void Break(Errno errno, string reason) => _channel.Break(errno, reason);

    /// <summary>From now on each request has the timeout of the options.</summary>
    internal void EndHandshake() => _channel.EndHandshake();

    /// <summary>Waits until the server closes; without the lock.</summary>
    /// <param name="end">Ends the wait when it is readable.</param>
    /// <returns>False when that came first.</returns>
    internal bool WaitUntilClosed(FileDescriptor end) => Poll.WaitClosed(_channel.Descriptor, end);

    /// <summary>Calls back once when the connection is closed, by either side; without the lock.</summary>
    internal EventRegistration WatchClosing(EventLoop loop, Action closed) => loop.AddHangup(_channel.Descriptor, _ => closed());

    /// <summary>Takes what callers may still use after the connection: the descriptors of regions and doorbells. The caller owns
    /// them.</summary>
    internal IEnumerable<IDisposable> TakeShared()
    {
        for (int i = 0; i < _regions.Length; i++)
        {
            if (_regions[i]?.File is FileDescriptor file)
                yield return file;
            _regions[i] = null;
        }

        yield return _doorbells.Take();
    }

    /// <summary>Stops the threads that answer; without the lock, after <see cref="Shutdown"/>.</summary>
    internal void StopAnswering()
    {
        _pump.Dispose();
        _twin?.Dispose();
    }

    /// <summary>Closes it and what came with it: the descriptors of regions and doorbells.</summary>
    public void Dispose()
    {
        _pump.Dispose();
        _twin?.Dispose();
        _channel.Dispose();
        _doorbells.Dispose();
        foreach (RegionInfo? region in _regions)
            region?.File?.Dispose();
    }

    private bool TryRing(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        if (source.Length > sizeof(ulong) || region.Value >= (uint)_regions.Length)
            return false;
        ulong value = 0;
        source.CopyTo(Blittable.AsBytes(ref value));
        foreach (Doorbell bell in _doorbells.Get(GetRegion(region)))
        {
            if (bell.IsRungBy(offset, source.Length, value))
            {
                bell.Event!.Signal();
                return true;
            }
        }

        return false;
    }

    private RegionAccessMessage Access(RegionIndex region, ulong offset, int length) =>
        new() { Offset = offset, Region = region.Value, Count = (uint)Math.Min(length, _maxTransferBytes) };

    private void WriteOnce(RegionIndex region, ulong offset, ref RegionAccessMessage access, ReadOnlySpan<byte> source)
    {
        if (_postsWrites)
        {
            _channel.Post(Command.RegionWrite, Blittable.AsBytes(ref access), source);
            return;
        }

        Errno error = _channel.Request(
            Command.RegionWrite, Blittable.AsBytes(ref access), source, default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw Refused("write", region, offset, error);
        Echo(Command.RegionWrite, access, reply, 0);
    }

    /// <summary>Checks that a reply repeats the request and has as much data as was requested.</summary>
    private ReadOnlySpan<byte> Echo(Command command, in RegionAccessMessage access, ReadOnlySpan<byte> reply, int dataBytes)
    {
        int length = Blittable.SizeOf<RegionAccessMessage>();
        if (reply.Length != length + dataBytes || Blittable.Read<RegionAccessMessage>(reply).Count != access.Count)
            throw _channel.Break(Errno.Protocol, $"its reply to {command} of {access.Count} bytes has {reply.Length} bytes");
        return reply[length..];
    }

    private Errno TryUnmap(Iova start, ulong length, DmaUnmapFlags flags)
    {
        DmaUnmapMessage message = new()
        {
            ArgSize = (uint)Blittable.SizeOf<DmaUnmapMessage>(),
            Flags = flags,
            Address = start.Value,
            Size = length,
        };
        return _channel.Request(Command.DmaUnmap, Blittable.AsBytes(ref message), default, default, out _);
    }

    private VfioException Refused(string access, RegionIndex region, ulong offset, Errno error) =>
        new($"{access} of {region} at 0x{offset:x}", _name, error);
}
