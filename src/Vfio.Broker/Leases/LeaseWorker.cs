using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Vfio.Broker.Policies;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Server;

namespace Vfio.Broker.Leases;

/// <summary>Opens the device of a lease, serves it to its user, and closes it; on the thread that calls.</summary>
/// <remarks>A model is made anew for each lease: nothing that a user left in it, or still has mapped of it, is the next one's.</remarks>
/// <param name="handshakeTimeout">How long a user may take to negotiate.</param>
/// <param name="logger">Faults are logged there.</param>
internal sealed class LeaseWorker(TimeSpan handshakeTimeout, ILogger logger)
{
    // Smaller than the default of a server: 200 leases at a time are a matter of 80 MB then, of which a lease uses what its messages need.
    private const int DataTransferBytes = 128 << 10, KeptBuffers = 8;
    private static readonly TimeSpan OpenTimeout = TimeSpan.FromSeconds(30);
    private readonly ConcurrentStack<SessionBuffers> _buffers = new();

    // What users do is in the audit, where it is bounded; a session's warnings about them would be lines without end.
    private readonly FaultLogger _faults = new(logger);

    /// <summary>Resets the device, and closes it again.</summary>
    /// <exception cref="VfioException">It cannot be opened or reset.</exception>
    internal void Probe(Lease lease)
    {
        using DeviceSource source = Find(lease);
        using IVfioDevice device = source.Open();
        ResetUnlessGuarded(source, device);
    }

    /// <summary>Opens the device, and serves it until its user or <see cref="ServerSession.Stop"/> ends that.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="connection">The connection to its user; owned. Null to make one.</param>
    /// <param name="given">Called when the device was reset and can be given; when it throws, nothing is.</param>
    /// <param name="done">Called when the session is over, before anything of it is closed: it must not be used any more.</param>
    /// <exception cref="VfioException">It cannot be opened or reset.</exception>
    internal void Serve(Lease lease, UnixSocket? connection, Action<SessionRun> given, Action done)
    {
        using UnixSocket? accepted = connection;
        using DeviceSource source = Find(lease);
        IVfioDevice device = source.Open();
        bool isTaken = false;
        SessionBuffers? buffers = null;
        (UnixSocket Server, UnixSocket? Client)? ends = null;
        try
        {
            ResetUnlessGuarded(source, device);
            UnixSocket? client = null;
            if (connection is not { } server)
                (server, client) = UnixSocket.CreatePair();
            ends = (server, client);
            VfioUserServerOptions options = OptionsOf(lease.Rule.Terms, source);
            buffers = _buffers.TryPop(out SessionBuffers? kept) ? kept : new SessionBuffers(options.MaxMessageBytes);
            ServerSession session = new(Take, server, buffers, options, handover: null);
            given(new SessionRun(session, server.Descriptor, client?.Descriptor, source.Guard is { } guard ? guard.RequestBack : null));
            client?.Dispose();
            session.Run();
        }
        finally
        {
            done();

            // Each of these, whatever became of the one before.
            using (ends?.Server)
            using (ends?.Client)
            using (isTaken ? null : device)
                Keep(buffers);
        }

        IVfioDevice Take()
        {
            isTaken = true;
            return device;
        }
    }

    private static DeviceSource Find(Lease lease)
    {
        DeviceSource source = DeviceSource.Find(lease.Device.Address, new VfioDeviceOptions { Timeout = OpenTimeout });
        try
        {
            foreach (ConfigRule rule in lease.Rule.Terms.ConfigRules)
                Permit(source, lease, rule);
            return source;
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Resets what its opening did not: the guard resets, or has its owner's word that it need not; a server or the kernel may
    /// not have.</summary>
    private static void ResetUnlessGuarded(DeviceSource source, IVfioDevice device)
    {
        if (source.Guard is null && !source.Address.IsGuarded)
            device.Reset();
    }

    private static void Permit(DeviceSource source, Lease lease, ConfigRule rule)
    {
        string operation = $"permitting config space at 0x{rule.Offset:x}";
        if (source.Guard is not { } guard)
            throw new VfioException(operation, lease.Device.Name, Errno.NotSupported, $"rule '{lease.Rule.Name}' has config rules, and this device has no guard");
        try
        {
            guard.Permit(rule.Offset, rule.Read, rule.Write);
        }
        catch (ArgumentException refusal)
        {
            throw VfioException.FromArgument(operation, lease.Device.Name, refusal, $"rule '{lease.Rule.Name}': ");
        }
    }

    private VfioUserServerOptions OptionsOf(LeaseTerms terms, DeviceSource source)
    {
        VfioUserServerOptions options = new() { MaxDataTransferBytes = DataTransferBytes, HandshakeTimeout = handshakeTimeout, Logger = _faults };

        // A model is made anew for each lease, and its memory with it. What another process or the kernel has stays the same device.
        options = options with { KeepsFiles = source.Guard is null };
        if (terms.Mappings is int mappings)
            options = options with { MaxDmaMaps = mappings };
        return terms.MemoryBytes is ulong bytes ? options with { MaxMappedBytes = bytes } : options;
    }

    private void Keep(SessionBuffers? buffers)
    {
        if (buffers is null)
            return;
        buffers.Clear();
        if (_buffers.Count < KeptBuffers)
            _buffers.Push(buffers);
        else
            buffers.Dispose();
    }
}

/// <summary>A session, and what it runs on.</summary>
/// <param name="Session">The session.</param>
/// <param name="ServerEnd">The broker's end of its connection.</param>
/// <param name="ClientEnd">The user's end; closed here once it was given. Null when its user has it already.</param>
/// <param name="RequestBack">Asks the user for the device; null where the device cannot.</param>
internal sealed record SessionRun(ServerSession Session, FileDescriptor ServerEnd, FileDescriptor? ClientEnd, Action? RequestBack)
{
    /// <summary>Whether it has ended, or its user has closed the connection, which its thread may not have noticed yet.</summary>
    internal bool IsOver => Session.EndReason is not null || Poll.IsHungUp(ServerEnd);
}
