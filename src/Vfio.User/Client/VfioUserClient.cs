using Vfio.Native;

namespace Vfio.User;

/// <summary>A device that a vfio-user server lends over a UNIX socket.</summary>
/// <remarks>
/// <para>Any thread may call; calls take turns, one request at a time. A small region access costs two system calls and allocates
/// nothing.</para>
/// <para>Memory that this process shares is passed by descriptor. Other memory stays here, and the server asks for it: a thread
/// answers as long as such memory is mapped. <see cref="DmaMemory.Read"/> and <see cref="DmaMemory.Write"/> of that memory are then
/// called with a lock of the client held, and must not call the client.</para>
/// <para>A server that breaks the protocol, or does not answer in time, loses the connection: that call and every later one fail with
/// the reason. Disposing closes the connection, and so gives the device back.</para>
/// </remarks>
public sealed class VfioUserClient : IVfioDevice
{
    private readonly object _gate = new();
    private readonly ClientMappings _mappings = new();
    private readonly ServerConnection _connection;
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
        options ??= new VfioUserClientOptions();
        try
        {
            options.Check();
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        _connection = new ServerConnection(socket, name, _gate, _mappings, options);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public DeviceInfo Info => _connection.Info;

    /// <summary>Connects to a server.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="options">Limits and habits; null for the defaults.</param>
    /// <exception cref="VfioException">Nobody listens there, this user may not, or the server refused.</exception>
    public static VfioUserClient Connect(string path, VfioUserClientOptions? options = null) =>
        new(UnixSocket.Connect(path), $"unix:{path}", options);

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region)
    {
        lock (_gate)
            return _connection.GetRegion(region);
    }

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index)
    {
        lock (_gate)
            return _connection.GetInterrupt(index);
    }

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        CheckRange(region, offset, destination.Length);
        lock (_gate)
            _connection.ReadRegion(region, offset, destination);
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        CheckRange(region, offset, source.Length);
        lock (_gate)
            _connection.WriteRegion(region, offset, source);
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
            _connection.WriteRegions(writes);
    }

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region)
    {
        lock (_gate)
            return _connection.GetDoorbells(region);
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        lock (_gate)
            _connection.SetInterrupts(request);
    }

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        const string Operation = "DMA_MAP";
        if (mapping.Length == 0 || mapping.Length - 1 > ulong.MaxValue - mapping.Start.Value || mapping.Length > ulong.MaxValue - mapping.MemoryOffset)
            throw new VfioException(Operation, Name, Errno.InvalidArgument, $"{mapping.Length} bytes at {mapping.Start} are no range");
        lock (_gate)
        {
            if (_mappings.Overlaps(mapping.Start, mapping.Length))
                throw new VfioException(Operation, Name, Errno.Exists, $"part of {mapping.Length} bytes at {mapping.Start} is mapped already");
            _mappings.Add(mapping);
            bool mapped = false;
            try
            {
                _connection.Map(mapping);
                mapped = true;
            }
            finally
            {
                if (!mapped && _mappings.Find(mapping.Start, mapping.Length, out int place, out _) == Errno.None)
                    _mappings.RemoveAt(place);
            }

            _connection.KeepAnswering();
        }
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_gate)
        {
            int first = 0;
            int count = 0;
            Errno found = length == 0 || length - 1 > ulong.MaxValue - start.Value
                ? Errno.InvalidArgument
                : _mappings.Find(start, length, out first, out count);
            if (found != Errno.None)
                throw new VfioException("DMA_UNMAP", Name, found, $"{length} bytes at {start}");
            ulong bytes = 0;
            for (int i = 0; i < count; i++)
            {
                bytes += _mappings.All[first].Length;
                UnmapAt(first);
            }

            _connection.KeepAnswering();
            return bytes;
        }
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        lock (_gate)
        {
            if (_mappings.Count > 1 && _connection.TryUnmapAll())
                _mappings.Clear();
            while (_mappings.Count > 0)
                UnmapAt(_mappings.Count - 1);
            _connection.KeepAnswering();
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
            _connection.Reset();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        // A call that is under way in another thread fails, and lets go of the gate.
        _connection.Shutdown();
        lock (_gate)
            _connection.Break(Errno.Shutdown, "it was closed by this side");
        _connection.StopAnswering();
        lock (_gate)
        {
            _connection.Dispose();
            _mappings.Clear();
        }
    }

    private void UnmapAt(int place)
    {
        DmaMapping mapping = _mappings.All[place];
        _connection.Unmap(mapping.Start, mapping.Length);
        _mappings.RemoveAt(place);
    }

    private void CheckRange(RegionIndex region, ulong offset, int length)
    {
        if ((ulong)length > ulong.MaxValue - offset)
            throw new VfioException($"access of {region} at 0x{offset:x}", Name, Errno.InvalidArgument, "the range wraps");
    }
}
