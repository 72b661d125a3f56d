using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.User.Leases;

/// <summary>A connection to a broker.</summary>
/// <remarks>One thread at a time; <see cref="WaitForEvent"/> is ended by <see cref="Shutdown"/> of any thread.</remarks>
internal sealed class BrokerClient : IDisposable
{
    private const int MaxReplyBytes = 64 << 10;
    private readonly LineSocket _lines;
    private readonly string _path;
    private readonly TimeSpan _timeout;

    private BrokerClient(LineSocket lines, string path, TimeSpan timeout) => (_lines, _path, _timeout) = (lines, path, timeout);

    /// <summary>The broker's socket.</summary>
    internal string Path => _path;

    /// <summary>Connects.</summary>
    /// <param name="path">The broker's socket; null for <see cref="BrokerPlace.ToAsk"/>.</param>
    /// <param name="timeout">How long the broker may take to accept, and over each request.</param>
    /// <exception cref="VfioException">No broker listens there, or this user may not connect.</exception>
    internal static BrokerClient Connect(string? path, TimeSpan timeout)
    {
        path ??= BrokerPlace.ToAsk;
        try
        {
            return Over(UnixSocket.Connect(path, timeout), path, timeout);
        }
        catch (VfioException refusal) when (refusal.Errno is Errno.NoEntry or Errno.ConnectionRefused)
        {
            throw new VfioException(
                "connecting to the broker", path, refusal.Errno, $"no broker listens there; start 'vfio broker', or name its socket in {BrokerPlace.Variable}");
        }
    }

    /// <summary>Takes a connection.</summary>
    /// <param name="socket">The connection; owned.</param>
    /// <param name="path">What it is called in messages.</param>
    /// <param name="timeout">How long the broker may take over each request.</param>
    internal static BrokerClient Over(UnixSocket socket, string path, TimeSpan timeout) => new(new LineSocket(socket, MaxReplyBytes), path, timeout);

    /// <summary>Asks for a device, in a lease that ends when it is closed.</summary>
    /// <param name="name">Its name, its pool or its address.</param>
    /// <param name="options">The client of the device.</param>
    /// <returns>The device. Disposing it ends the lease, unless the user holds the device beside it.</returns>
    /// <exception cref="VfioException">EACCES: the policy does not give it; EBUSY: somebody has it; or why else not.</exception>
    internal VfioUserClient Open(string name, VfioUserClientOptions options)
    {
        BrokerReply reply = Open(name, out UnixSocket device);
        if (reply.Direct is null)
            return new VfioUserClient(device, NameOf(reply, name), options);
        device.Dispose();
        throw new VfioException("open", name, Errno.NotSupported, "its lease is direct, and not a connection of vfio-user; open it by its address");
    }

    /// <summary>Asks for a device, in a lease that ends when the connection is closed.</summary>
    /// <param name="name">Its name, its pool or its address.</param>
    /// <param name="connection">The lease's connection; the caller owns it.</param>
    internal BrokerReply Open(string name, out UnixSocket connection)
    {
        BrokerReply reply = Ask(new BrokerRequest { Do = BrokerVerbs.Open, Name = name }, name, out UnixSocket? given);
        connection = given ?? throw Broken("it gave a lease without a connection");
        return reply;
    }

    /// <summary>What a device is called in messages.</summary>
    internal static string NameOf(BrokerReply reply, string asked) => $"lease:{(reply.Lease is { Device.Length: > 0 } lease ? lease.Device : asked)}";

    /// <summary>Asks, and waits for the reply.</summary>
    /// <param name="request">The request.</param>
    /// <param name="about">What it is about, for the text of a refusal.</param>
    /// <param name="connection">The connection that came with the reply; the caller owns it. Null for none.</param>
    /// <param name="passed">A descriptor for the broker; the caller keeps it. Null for none.</param>
    /// <exception cref="VfioException">It was refused, or the broker does not answer.</exception>
    internal BrokerReply Ask(BrokerRequest request, string about, out UnixSocket? connection, FileDescriptor? passed = null)
    {
        if (!_lines.TrySend(BrokerJson.Line(request), passed))
            throw Broken("it is gone");
        BrokerReply reply = WaitForReply(out connection);
        if (reply.Errno is > 0 and < 4096 and int errno)
        {
            connection?.Dispose();
            throw new VfioException(request.Do ?? "asking", about, (Errno)errno, reply.Reason);
        }

        return reply;
    }

    /// <summary>Waits for the reply to a request.</summary>
    /// <param name="connection">The connection that came with it; the caller owns it. Null for none.</param>
    /// <exception cref="VfioException">The broker does not answer, or sends something else.</exception>
    internal BrokerReply WaitForReply(out UnixSocket? connection)
    {
        connection = null;
        BrokerReply reply = Receive(new Deadline(_timeout)) ?? throw new VfioException("asking the broker", _path, Errno.TimedOut, "it does not answer in time");
        if (_lines.TakeDescriptor() is not { } descriptor)
            return reply;
        connection = new UnixSocket(descriptor);
        _lines.DropDescriptors();
        if (connection.IsUnixStream)
            return reply;
        connection.Dispose();
        throw Broken("it sent a descriptor that is no connection");
    }

    /// <summary>As the other, for a request whose reply has no connection.</summary>
    internal BrokerReply Ask(BrokerRequest request, string about, FileDescriptor? passed = null)
    {
        BrokerReply reply = Ask(request, about, out UnixSocket? unwanted, passed);
        unwanted?.Dispose();
        return reply;
    }

    /// <summary>All leases that this user may see.</summary>
    internal IReadOnlyList<LeaseRecord> ListLeases()
    {
        List<LeaseRecord> all = [];
        while (true)
        {
            int after = all.Count > 0 ? all[^1].Id : 0;
            BrokerReply reply = Ask(new BrokerRequest { Do = BrokerVerbs.Leases, After = after }, "leases");
            all.AddRange(reply.Leases ?? []);
            if (reply.More is not true)
                return all;
            if (all.Count == 0 || all[^1].Id <= after)
                throw Broken("its list of leases goes in circles");
        }
    }

    /// <summary>Waits for what the broker notifies a holder of.</summary>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>Null when nothing came in time.</returns>
    /// <exception cref="VfioException">The broker is gone, or <see cref="Shutdown"/> was called.</exception>
    internal BrokerReply? WaitForEvent(TimeSpan timeout) => Receive(new Deadline(timeout));

    /// <summary>Ends the connection; any thread may call it.</summary>
    internal void Shutdown() => _lines.Socket.Shutdown();

    /// <inheritdoc/>
    public void Dispose() => _lines.Dispose();

    private BrokerReply? Receive(Deadline deadline)
    {
        while (true)
        {
            switch (_lines.TryReceive(out ReadOnlySpan<byte> line))
            {
                case LineState.Whole:
                    return BrokerJson.ReadReply(line) ?? throw Broken("what it sent is no reply");
                case LineState.Closed:
                    throw Broken("it is gone");
                case LineState.TooLong:
                    throw Broken("its reply is too long");
                default:
                    if (!Poll.WaitReadable(_lines.Socket.Descriptor, deadline.Left) && deadline.HasPassed)
                        return null;
                    break;
            }
        }
    }

    private VfioException Broken(string why) => new("asking the broker", _path, Errno.ConnectionReset, why);
}
