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
public sealed partial class VfioUserClient : IVfioDevice
{
    private readonly object _gate = new();
    private readonly VfioUserClientOptions _options;
    private readonly DmaMappings _mappings = new();
    private readonly ClientChannel _channel;
    private readonly ServerFacts _facts;
    private readonly InterruptRequests _interruptRequests;
    private readonly MigrationRequests _migration;
    private readonly RegionInfo?[] _regions;
    private readonly InterruptInfo?[] _interrupts;
    private readonly List<DmaPump> _retired = [];
    private readonly ClientDoorbells _doorbells;
    private readonly TwinPump? _twin;
    private readonly MultiWrites? _multiWrites;
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
            Capabilities server = _facts.Negotiate(out UnixSocket? twin);
            _twin = twin is null ? null : new TwinPump(twin, _channel, _mappings, _options);
            _doorbells = new ClientDoorbells(_channel, name);
            _maxTransferBytes = (int)Math.Min(server.MaxDataTransferBytes ?? Protocol.DefaultDataTransferBytes, (ulong)_options.MaxDataTransferBytes);
            int maxDescriptors = (int)Math.Min(server.MaxMessageDescriptors ?? 1, UnixSocket.MaxDescriptors);
            _interruptRequests = new InterruptRequests(_channel, name, maxDescriptors, _maxTransferBytes);
            _migration = new MigrationRequests(_channel, name, _maxTransferBytes);
            Info = _facts.AskDevice();
            _regions = new RegionInfo?[Info.RegionCount];
            _interrupts = new InterruptInfo?[Info.InterruptCount];
            _postsWrites = _options.PostedWrites;
            if (server.WriteMultiple is true)
                _multiWrites = new MultiWrites(_channel, name);
            KeepPump();
        }
        catch
        {
            CloseRegions();
            _doorbells?.Dispose();
            _twin?.Dispose();
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
        new(UnixSocket.Connect(path, options?.Timeout ?? Timeout.InfiniteTimeSpan), $"unix:{path}", options);

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
            if (_options.RingDoorbells && TryRing(region, offset, source))
                return;
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
    public void WriteRegions(ReadOnlySpan<SmallWrite> writes)
    {
        foreach (SmallWrite write in writes)
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(write.Width);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(write.Width, sizeof(ulong));
            CheckRange(write.Region, write.Offset, write.Width);
        }

        lock (_gate)
        {
            if (_multiWrites is not null && writes.Length > 1)
            {
                _multiWrites.Send(writes, _postsWrites);
                return;
            }

            foreach (SmallWrite write in writes)
            {
                ulong value = write.Value;
                WriteRegion(write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region)
    {
        RegionInfo info = GetRegion(region);
        lock (_gate)
            return _doorbells.Get(info);
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        lock (_gate)
            _interruptRequests.Send(request);
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
        _twin?.Dispose();
        lock (_gate)
        {
            _channel.Dispose();
            _mappings.Clear();
            _doorbells.Dispose();
            CloseRegions();
        }
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
