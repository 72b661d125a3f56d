using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Providers;
using Vfio.User.Client;

namespace Vfio.User;

/// <summary>A device that a vfio-user server serves over a UNIX socket.</summary>
/// <remarks>
/// <para>Any thread may call; calls are serialized, one request at a time. A small region access costs two system calls and allocates
/// nothing.</para>
/// <para>Memory that this process shares is passed by descriptor. Other memory stays here, and the server requests it by message: a thread
/// answers as long as such memory is mapped. <see cref="DmaMemory.Read"/> and <see cref="DmaMemory.Write"/> of that memory are then
/// called with a lock of the client held, and must not call the client.</para>
/// <para>When a server breaks the protocol, or does not answer in time, the connection is broken: that call and every later one fail with
/// the reason. Disposing closes the connection, which releases the device.</para>
/// <para>The client waits for a server that went away when <see cref="VfioUserClientOptions.ReconnectTimeout"/> is set.</para>
/// </remarks>
public sealed partial class VfioUserClient : IVfioDevice, IMigratableDevice, IDirtyTracker, IRemovalNotifier, IAsyncDisposable
{
    private readonly object _lock = new();
    private readonly DmaMappings _mappings = new();
    private readonly ServerConnection _first;
    private readonly Reconnector? _reconnector;
    private int _disposed;

    /// <summary>Negotiates over a connected socket and queries the device.</summary>
    /// <param name="socket">The connection; owned from here on, also when this throws.</param>
    /// <param name="name">The server's address, for messages: <c>unix:/run/edu.sock</c>.</param>
    /// <param name="options">Limits and timeouts; null for the defaults.</param>
    /// <exception cref="VfioException">The server refused, or does not speak the protocol.</exception>
    internal VfioUserClient(UnixSocket socket, string name, VfioUserClientOptions? options = null)
        : this(socket, name, null, options, null)
    {
    }

    private VfioUserClient(UnixSocket socket, string name, string? path, VfioUserClientOptions? options, Deadline? handshake)
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

        _first = new ServerConnection(socket, name, _lock, _mappings, options, handshake ?? new Deadline(options.Timeout));
        try
        {
            lock (_lock)
            {
                if (path is not null && options.ReconnectTimeout != TimeSpan.Zero)
                    _reconnector = new Reconnector(path, _lock, _first, _mappings, options, () => Restarted?.Invoke(), OnGone);
                _first.EndHandshake();
            }
        }
        catch
        {
            _first.Shutdown();
            _first.StopAnswering();
            _first.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public event Action? Restarted;

    /// <summary>How often the server was lost and found again.</summary>
    public int Restarts => _reconnector?.Restarts ?? 0;

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public DeviceInfo Info => _first.Info;

    private ServerConnection Connection => _reconnector?.Connection ?? _first;

    /// <summary>Connects to a server.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="options">Limits and timeouts; null for the defaults.</param>
    /// <exception cref="VfioException">No server listens there, this user may not connect, or the server refused; ETIMEDOUT: connecting and
    /// negotiating took longer than <see cref="VfioUserClientOptions.Timeout"/>, perhaps because the server serves another
    /// client.</exception>
    public static VfioUserClient Connect(string path, VfioUserClientOptions? options = null) => Open(path, options, CancellationToken.None);

    /// <summary>As <see cref="Connect"/>, on a thread of its own.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="options">Limits and timeouts; null for the defaults.</param>
    /// <param name="cancellation">Ends an attempt that is under way, and closes its connection.</param>
    /// <exception cref="VfioException">As for <see cref="Connect"/>.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Task<VfioUserClient> ConnectAsync(
        string path, VfioUserClientOptions? options = null, CancellationToken cancellation = default) =>
        Task.Factory.StartNew(
            () => Open(path, options, cancellation), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region) => Ask(connection => connection.GetRegion(region));

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => Ask(connection => connection.GetInterrupt(index));

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => Ask(connection => connection.GetDoorbells(region));

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        CheckRange(region, offset, destination.Length);
        lock (_lock)
        {
            // What a lost server was asked did not reach a device that still exists, so nothing is done twice.
            Send(new RegionRead(region, offset, destination),
                static (connection, read) => connection.ReadRegion(read.Region, read.Offset, read.Destination));
        }
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        CheckRange(region, offset, source.Length);
        lock (_lock)
        {
            bool sent = TrySend(new RegionWrite(region, offset, source),
                static (connection, write) => connection.WriteRegion(write.Region, write.Offset, write.Source));
            if (!sent)
                throw LostWrite(region, offset);
            _reconnector?.State.Note(region, offset, source);
        }
    }

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, reads.Length);
        foreach (RegisterRead read in reads)
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(read.Width);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(read.Width, sizeof(ulong));
            CheckRange(read.Region, read.Offset, read.Width);
        }

        lock (_lock)
            Send(new RegisterReads(reads, values), static (connection, all) => connection.ReadRegions(all.Reads, all.Values));
    }

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(write.Width);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(write.Width, sizeof(ulong));
            CheckRange(write.Region, write.Offset, write.Width);
        }

        lock (_lock)
        {
            if (!TrySend(writes, static (connection, writes) => connection.WriteRegions(writes)))
                throw LostWrite(writes[0].Region, writes[0].Offset);
            _reconnector?.State.Note(writes);
        }
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        lock (_lock)
        {
            Send(request, static (connection, request) => connection.SetInterrupts(request));
            _reconnector?.State.Note(request);
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // Not sent again: a device that was just opened is as after a reset.
        lock (_lock)
            _ = TrySend(0, static (connection, _) => connection.Reset());
    }

    /// <summary>As <see cref="Dispose"/>, which waits for threads that answer the server, on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        EndRemoval();

        // A call that is under way in another thread fails, and releases the lock.
        _reconnector?.Stop();
        Connection.Shutdown();
        ServerConnection last;
        lock (_lock)
        {
            last = Connection;
            last.Shutdown();
            last.Break(Errno.Shutdown, "it was closed by this side");
        }

        last.StopAnswering();
        _reconnector?.Dispose();
        lock (_lock)
        {
            last.Dispose();
            _mappings.Clear();
        }
    }

    private static VfioUserClient Open(string path, VfioUserClientOptions? options, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(path);
        options ??= new VfioUserClientOptions();
        options.Check();
        Deadline handshake = new(options.Timeout);
        UnixSocket socket = UnixSocket.Connect(path, options.Timeout, cancellation);
        VfioUserClient? client = null;

        // Referenced, so that the shutdown reaches this socket and not one that reuses its number.
        bool isHeld = false;
        socket.Descriptor.DangerousAddRef(ref isHeld);
        try
        {
            using (cancellation.Register(socket.Shutdown))
                client = new VfioUserClient(socket, $"unix:{path}", path, options, handshake);
            cancellation.ThrowIfCancellationRequested();
            return client;
        }
        catch (Exception refusal) when (cancellation.IsCancellationRequested && refusal is VfioException or OperationCanceledException)
        {
            client?.Dispose();
            throw new OperationCanceledException(cancellation);
        }
        finally
        {
            socket.Descriptor.DangerousRelease();
        }
    }

    private T Ask<T>(Func<ServerConnection, T> question)
    {
        lock (_lock)
        {
            T answer = default!;
            Send(question, (connection, question) => answer = question(connection));
            return answer;
        }
    }

    /// <summary>Sends a request, and again when the server was lost meanwhile and came back; with the lock.</summary>
    /// <param name="state">What the request needs.</param>
    /// <param name="request">Sends it.</param>
    private void Send<TState>(TState state, Action<ServerConnection, TState> request)
        where TState : allows ref struct
    {
        if (!TrySend(state, request))
            request(Connection, state);
    }

    /// <summary>Sends a request; with the lock. When the server is lost meanwhile, waits for it to come back.</summary>
    /// <param name="state">What the request needs.</param>
    /// <param name="request">Sends it.</param>
    /// <returns>False: the server was lost and came back. The request was carried out before that, or not.</returns>
    private bool TrySend<TState>(TState state, Action<ServerConnection, TState> request)
        where TState : allows ref struct
    {
        try
        {
            request(Connection, state);
            return true;
        }
        catch (VfioException) when (_reconnector is { IsLost: true })
        {
            _reconnector.Reconnect();
            return false;
        }
    }

    private VfioException LostWrite(RegionIndex region, ulong offset) => new(
        $"write of {region} at 0x{offset:x}", Name, Errno.ConnectionReset,
        "the server was restarted: the device is as after a reset, and the write may have been done before it or not");

    private void CheckRange(RegionIndex region, ulong offset, int length)
    {
        if ((ulong)length > ulong.MaxValue - offset)
            throw new VfioException($"access of {region} at 0x{offset:x}", Name, Errno.InvalidArgument, "the range wraps");
    }

    private readonly ref struct RegionRead(RegionIndex region, ulong offset, Span<byte> destination)
    {
        public readonly RegionIndex Region = region;
        public readonly ulong Offset = offset;
        public readonly Span<byte> Destination = destination;
    }

    private readonly ref struct RegionWrite(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        public readonly RegionIndex Region = region;
        public readonly ulong Offset = offset;
        public readonly ReadOnlySpan<byte> Source = source;
    }

    private readonly ref struct RegisterReads(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        public readonly ReadOnlySpan<RegisterRead> Reads = reads;
        public readonly Span<ulong> Values = values;
    }
}
