using Vfio.Native;

namespace Vfio.User;

/// <summary>A device that a vfio-user server lends over a UNIX socket.</summary>
/// <remarks>
/// <para>Any thread may call; calls take turns, one request at a time. A small region access costs two system calls and allocates
/// nothing.</para>
/// <para>Memory that this process shares is passed by descriptor. Other memory stays here, and the server asks for it: a thread
/// answers as long as such memory is mapped. <see cref="DmaMemory.Read"/> and <see cref="DmaMemory.Write"/> of that memory are then
/// called with the client's lock held, and must not call the client.</para>
/// <para>A server that breaks the protocol, or does not answer in time, loses the connection: that call and every later one fail with
/// the reason. Disposing closes the connection, and so gives the device back.</para>
/// </remarks>
public sealed class VfioUserClient : IVfioDevice
{
    private readonly object _gate = new();
    private readonly VfioUserClientOptions _options;
    private readonly ClientMappings _mappings = new();
    private readonly ClientChannel _channel;
    private readonly ServerFacts _facts;
    private readonly InterruptRequests _interruptRequests;
    private readonly RegionInfo?[] _regions;
    private readonly InterruptInfo?[] _interrupts;
    private readonly List<DmaPump> _retired = [];
    private readonly int _maxTransferBytes;
    private bool _postsWrites;
    private DmaPump? _pump;
    private int _disposed;

    /// <summary>Negotiates over a connected socket and asks what the device is.</summary>
    /// <param name="socket">The connection; owned from here on, also when this throws.</param>
    /// <param name="name">The server's address, for messages: <c>unix:/run/edu.sock</c>.</param>
    /// <param name="options">Limits and habits; null for the defaults.</param>
    /// <exception cref="VfioException">The server refused, or does not speak the protocol.</exception>
    public VfioUserClient(UnixSocket socket, string name, VfioUserClientOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(socket);
        ArgumentNullException.ThrowIfNull(name);
        Name = name;
        _options = options ?? new VfioUserClientOptions();
        try
        {
            _options.Check();
            _channel = new ClientChannel(socket, name, _mappings, _options);
            _facts = new ServerFacts(_channel, name, _options);
            Capabilities server = _facts.Negotiate();
            _maxTransferBytes = (int)Math.Min(server.MaxDataTransferBytes ?? Protocol.DefaultDataTransferBytes, (ulong)_options.MaxDataTransferBytes);
            int maxDescriptors = (int)Math.Min(server.MaxMessageDescriptors ?? 1, UnixSocket.MaxDescriptors);
            _interruptRequests = new InterruptRequests(_channel, name, maxDescriptors, _maxTransferBytes);
            Info = _facts.AskDevice();
            _regions = new RegionInfo?[Info.RegionCount];
            _interrupts = new InterruptInfo?[Info.InterruptCount];
            _postsWrites = _options.PostedWrites;
            if (_options.AlwaysAnswer)
                _pump = new DmaPump(_gate, _channel);
        }
        catch
        {
            CloseRegions();
            _channel?.Dispose();
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    /// <summary>Connects to a server.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="options">Limits and habits; null for the defaults.</param>
    /// <exception cref="VfioException">Nobody listens there, this user may not, or the server refused.</exception>
    public static VfioUserClient Connect(string path, VfioUserClientOptions? options = null) =>
        new(UnixSocket.Connect(path), $"unix:{path}", options);

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region)
    {
        if (region.Value >= (uint)_regions.Length)
            throw new VfioException($"info of {region}", Name, Errno.InvalidArgument, $"the device has {_regions.Length} regions");
        lock (_gate)
        {
            // The answer to the first question comes after all that was posted before; from then on stores may go beside the socket.
            RegionInfo info = _regions[region.Value] ??= _facts.AskRegion(region);
            _postsWrites &= !info.IsMappable;
            return info;
        }
    }

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index)
    {
        if (index.Value >= (uint)_interrupts.Length)
            throw new VfioException($"info of {index}", Name, Errno.InvalidArgument, $"the device has {_interrupts.Length} kinds of interrupt");
        lock (_gate)
            return _interrupts[index.Value] ??= _facts.AskInterrupt(index);
    }

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        CheckRange(region, offset, destination.Length);
        lock (_gate)
        {
            while (destination.Length > 0)
            {
                RegionAccess access = Access(region, offset, destination.Length);
                Errno error = _channel.Request(Command.RegionRead, Blittable.AsBytes(ref access), default, default, out ReadOnlySpan<byte> reply);
                if (error != Errno.None)
                    throw Refused("read", region, offset, error);
                int count = (int)access.Count;
                ReadOnlySpan<byte> data = Echo(Command.RegionRead, access, reply, count);
                data.CopyTo(destination);
                destination = destination[count..];
                offset += (ulong)count;
            }
        }
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        CheckRange(region, offset, source.Length);
        lock (_gate)
        {
            while (source.Length > 0)
            {
                RegionAccess access = Access(region, offset, source.Length);
                int count = (int)access.Count;
                WriteOnce(region, offset, ref access, source[..count]);
                source = source[count..];
                offset += (ulong)count;
            }
        }
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        lock (_gate)
            _interruptRequests.Send(request);
    }

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        string operation = "DMA_MAP";
        if (mapping.Length == 0 || mapping.Length - 1 > ulong.MaxValue - mapping.Start.Value || mapping.Length > ulong.MaxValue - mapping.MemoryOffset)
            throw new VfioException(operation, Name, Errno.InvalidArgument, $"{mapping.Length} bytes at {mapping.Start} are no range");
        lock (_gate)
        {
            if (_mappings.Overlaps(mapping.Start, mapping.Length))
                throw new VfioException(operation, Name, Errno.Exists, $"part of {mapping.Length} bytes at {mapping.Start} is mapped already");
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
            // The server may ask for the memory as soon as it has the message.
            _mappings.Add(mapping);
            bool mapped = false;
            try
            {
                Errno error = _channel.Request(Command.DmaMap, Blittable.AsBytes(ref message), default, descriptors, out _);
                if (error != Errno.None)
                    throw new VfioException(operation, Name, error, $"{mapping.Length} bytes at {mapping.Start}");
                mapped = true;
            }
            finally
            {
                if (!mapped && _mappings.Find(mapping.Start, mapping.Length, out int place, out _) == Errno.None)
                    _mappings.RemoveAt(place);
            }

            KeepPump();
        }
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_gate)
        {
            Errno found = length == 0 || length - 1 > ulong.MaxValue - start.Value
                ? Errno.InvalidArgument
                : _mappings.Find(start, length, out int _, out int _);
            if (found != Errno.None)
                throw new VfioException("DMA_UNMAP", Name, found, $"{length} bytes at {start}");
            _mappings.Find(start, length, out int first, out int count);
            ulong bytes = 0;
            for (int i = 0; i < count; i++)
            {
                bytes += _mappings.All[first].Length;
                Unmap(_mappings.All[first].Start, _mappings.All[first].Length, DmaUnmapFlags.None);
                _mappings.RemoveAt(first);
            }

            KeepPump();
            return bytes;
        }
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        lock (_gate)
        {
            // The flag is QEMU's and libvfio-user's; a server of the bare specification refuses it.
            if (_mappings.Count > 1 && TryUnmap(default, 0, DmaUnmapFlags.All) == Errno.None)
                _mappings.Clear();
            while (_mappings.Count > 0)
            {
                DmaMapping last = _mappings.All[^1];
                Unmap(last.Start, last.Length, DmaUnmapFlags.None);
                _mappings.RemoveAt(_mappings.Count - 1);
            }

            KeepPump();
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            Errno error = _channel.Request(Command.DeviceReset, default, default, default, out _);
            if (error != Errno.None)
                throw new VfioException("DEVICE_RESET", Name, error);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        // A call that is under way in another thread fails, and lets go of the gate.
        _channel.Shutdown();
        DmaPump? pump;
        lock (_gate)
        {
            _channel.Break(Errno.Shutdown, "it was closed by this side");
            pump = _pump;
            _pump = null;
        }

        pump?.Stop();
        pump?.Join();
        foreach (DmaPump retired in _retired)
            retired.Join();
        lock (_gate)
        {
            _channel.Dispose();
            _mappings.Clear();
            CloseRegions();
        }
    }

    private RegionAccess Access(RegionIndex region, ulong offset, int length) =>
        new() { Offset = offset, Region = region.Value, Count = (uint)Math.Min(length, _maxTransferBytes) };

    private void WriteOnce(RegionIndex region, ulong offset, ref RegionAccess access, ReadOnlySpan<byte> source)
    {
        if (_postsWrites)
        {
            _channel.Post(Command.RegionWrite, Blittable.AsBytes(ref access), source);
            return;
        }

        Errno error = _channel.Request(Command.RegionWrite, Blittable.AsBytes(ref access), source, default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw Refused("write", region, offset, error);
        Echo(Command.RegionWrite, access, reply, 0);
    }

    /// <summary>Checks that a reply repeats the request and has as much data as was asked for.</summary>
    private ReadOnlySpan<byte> Echo(Command command, in RegionAccess access, ReadOnlySpan<byte> reply, int dataBytes)
    {
        int length = Blittable.SizeOf<RegionAccess>();
        if (reply.Length != length + dataBytes || Blittable.Read<RegionAccess>(reply).Count != access.Count)
            throw _channel.Break(Errno.Protocol, $"its reply to {command} of {access.Count} bytes has {reply.Length} bytes");
        return reply[length..];
    }

    private void Unmap(Iova start, ulong length, DmaUnmapFlags flags)
    {
        Errno error = TryUnmap(start, length, flags);
        if (error != Errno.None)
            throw new VfioException("DMA_UNMAP", Name, error, $"{length} bytes at {start}");
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

    /// <summary>Starts or ends the thread that answers, by whether the server may ask.</summary>
    private void KeepPump()
    {
        _retired.RemoveAll(pump => !pump.IsAlive);
        bool needed = _options.AlwaysAnswer || _mappings.ByMessage > 0;
        if (needed && _pump is null)
        {
            _pump = new DmaPump(_gate, _channel);
        }
        else if (!needed && _pump is not null)
        {
            _pump.Stop();
            _retired.Add(_pump);
            _pump = null;
        }
    }

    private void CheckRange(RegionIndex region, ulong offset, int length)
    {
        if ((ulong)length > ulong.MaxValue - offset)
            throw new VfioException($"access of {region} at 0x{offset:x}", Name, Errno.InvalidArgument, "the range wraps");
    }

    private VfioException Refused(string access, RegionIndex region, ulong offset, Errno error) =>
        new($"{access} of {region} at 0x{offset:x}", Name, error);

    private void CloseRegions()
    {
        foreach (RegionInfo? region in _regions ?? [])
            region?.File?.Dispose();
    }
}
