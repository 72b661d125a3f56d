using System.Buffers.Binary;
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Vfio.Abstractions;
using Vfio.Broker.Policies;
using Vfio.Kernel;
using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Server;
using Vfio.User.Wire;

namespace Vfio.Broker.Leases;

/// <summary>Opens the device of a lease, serves it to its user, and closes it; on the thread that calls.</summary>
/// <remarks>A model is made anew for each lease: nothing that a user left in it, or still has mapped of it, is the next one's.</remarks>
/// <param name="handshakeTimeout">How long a user may take to negotiate.</param>
/// <param name="handsOver">Whether another broker may take sessions over.</param>
/// <param name="logger">Faults are logged there.</param>
internal sealed class LeaseWorker(TimeSpan handshakeTimeout, bool handsOver, ILogger logger)
{
    // Smaller than the default of a server: 200 leases at a time are a matter of 80 MB then, of which a lease uses what its messages need.
    private const int DataTransferBytes = 128 << 10, KeptBuffers = 8;
    private static readonly TimeSpan OpenTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20), LongestPause = TimeSpan.FromMilliseconds(20 << 9);

    /// <summary>How long a user whose direct lease is over may keep the device open.</summary>
    private static readonly TimeSpan CloseGrace = TimeSpan.FromSeconds(5);
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
    internal void Serve(Lease lease, UnixSocket? connection, Action<LeaseRun> given, Action done)
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
            {
                (server, client) = UnixSocket.CreatePair();
                server.Sender = ForeignSender.Of(lease.Holder.UserId);
            }

            ends = (server, client);
            VfioUserServerOptions options = OptionsOf(lease.Rule.Terms, source);
            buffers = _buffers.TryPop(out SessionBuffers? kept) ? kept : new SessionBuffers(options.MaxMessageBytes);
            using LeaseHandover? handover = handsOver && device.TryGet(out IHandoverDevice? _) ? new LeaseHandover(lease) : null;
            ServerSession session = new(Take, server, buffers, options, handover);
            given(new SessionRun(session, server.Descriptor)
            {
                Handover = handover,
                ClientEnd = client?.Descriptor,
                RequestBack = source.Guard is { } guard ? guard.RequestBack : null,
            });
            client?.Dispose();
            session.Run();
            handover?.End();
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

    /// <summary>Takes the session of another broker over, and serves it on.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="from">The session; disposed by the caller.</param>
    /// <param name="accept">Called when all is here: the other broker lets go of it. When it throws, that one goes on.</param>
    /// <param name="given">Called when the session runs here.</param>
    /// <param name="done">As for <see cref="Serve"/>.</param>
    /// <exception cref="VfioException">It cannot be taken over.</exception>
    internal void TakeOver(Lease lease, HandoverReader from, Action accept, Action<LeaseRun> given, Action done)
    {
        using UnixSocket connection = new(from.TakeDescriptor());
        connection.Sender = ForeignSender.Of(lease.Holder.UserId);
        using DeviceSource source = Find(lease, isSuccessor: true);
        using LeaseHandover? handover = handsOver ? new LeaseHandover(lease) : null;
        VfioUserServerOptions options = OptionsOf(lease.Rule.Terms, source);
        SessionBuffers buffers = new(options.MaxMessageBytes);
        bool isOurs = false;
        try
        {
            ServerSession session = new(source.Open, connection, buffers, options, handover);
            try
            {
                session.Restore(from);
                from.End();
                accept();
                isOurs = true;
            }
            finally
            {
                if (!isOurs)
                    session.Abandon();
            }

            session.Resume();
            given(new SessionRun(session, connection.Descriptor)
            {
                Handover = handover,
                RequestBack = source.Guard is { } guard ? guard.RequestBack : null,
            });
            session.Run();
            handover?.End();
        }
        finally
        {
            done();
            Keep(buffers);
        }
    }

    /// <summary>Opens the device by the kernel, passes its descriptors to the user, and takes it back when the user or
    /// <see cref="LeaseRun.Stop"/> ends that.</summary>
    /// <remarks>What the user has open the kernel takes from nobody: a user whose lease is ended, and who does not close the device, is
    /// killed. The device is back when it can be opened again.</remarks>
    /// <param name="lease">The lease.</param>
    /// <param name="process">The process that asked.</param>
    /// <param name="given">Called when the device was reset and can be given; when it throws, nothing is.</param>
    /// <param name="done">Called when the user has it no more, or must not, before anything is closed.</param>
    /// <exception cref="VfioException">It cannot be opened or reset, or is no device of the kernel's.</exception>
    internal void ServeDirect(Lease lease, int process, Action<LeaseRun> given, Action done)
    {
        DeviceAddress address = DeviceAddress.Parse(lease.Device.Address);
        if (address.Scheme is not (AddressScheme.Pci or AddressScheme.Mediated) || address.IsGuarded)
        {
            throw new VfioException("open", lease.Device.Name, Errno.NotSupported,
                $"rule '{lease.Rule.Name}' is direct, and {lease.Device.Address} is {(address.IsGuarded ? "guarded" : "no function of this machine")}");
        }

        // Reset by its opening, and its closing.
        Probe(lease);
        KernelDeviceOptions options = new() { Logger = _faults };
        DeviceOpener opener = address.Scheme == AddressScheme.Pci ? new(address.Function, options) : new(address.Uuid, options);
        bool isGiven = false;
        using ProcessHandle user = OpenUser(lease, process);
        (UnixSocket server, UnixSocket client) = UnixSocket.CreatePair();
        using (server)
        using (client)
        using (PassableDevice device = opener.OpenToPass())
        using (DirectRun run = new(device.Interface == VfioInterface.Cdev ? "cdev" : "group", server.Descriptor)
        {
            ClientEnd = client.Descriptor,
            RequestBack = device.RequestBack,
        })
        {
            try
            {
                byte[] number = new byte[sizeof(uint)];
                BinaryPrimitives.WriteUInt32LittleEndian(number, device.Number);
                if (server.Send(number, default, [device.Device, device.Space], wait: false, out Errno error) != number.Length)
                    throw new VfioException("passing", lease.Device.Name, error);
                given(run);
                isGiven = true;
                client.Dispose();
                run.Wait();
            }
            finally
            {
                done();
                TakeFrom(lease, device, isGiven && run.EndReason is not null && !Poll.IsHungUp(server.Descriptor) ? user : null);
            }
        }

        WaitUntilFree(lease, user);
    }

    /// <summary>Holds the process that asked, which is killed if it does not give the device back.</summary>
    /// <exception cref="VfioException">EPERM: it has ended, or is another user's, or of another process namespace.</exception>
    private static ProcessHandle OpenUser(Lease lease, int process)
    {
        // The number may be another process's by now: then that is one of the same user's, or nothing is given.
        ProcessHandle? user = ProcessHandle.TryOpen(process);
        if (user is not null && FileStatus.TryGet($"/proc/{process}", follow: false) is { } status && status.UserId == lease.Holder.UserId)
            return user;
        user?.Dispose();
        throw new VfioException("open", lease.Device.Name, Errno.OperationNotPermitted,
            "a direct lease is for a process that can be ended, and the one that asked has ended or cannot be seen from here");
    }

    private void TakeFrom(Lease lease, PassableDevice device, ProcessHandle? user)
    {
        try
        {
            device.Quiesce();
        }
        catch (VfioException)
        {
            // It was never used, or does not answer: the kernel resets it when it is closed.
        }

        if (user is not null && !user.TryKill())
            BrokerLog.UserStays(logger, lease.Id, lease.Device.Name);
    }

    /// <summary>Waits until nobody has the device open: the user, a child of the user's, or who was passed the descriptors. A user who keeps
    /// it is killed.</summary>
    private void WaitUntilFree(Lease lease, ProcessHandle user)
    {
        Deadline grace = new(CloseGrace);
        bool isKilled = false;
        for (TimeSpan pause = ShortestPause; ; pause = pause < LongestPause ? 2 * pause : LongestPause)
        {
            try
            {
                Probe(lease);
                return;
            }
            catch (VfioException refusal) when (refusal.Errno is Errno.Busy or Errno.InvalidArgument or Errno.TooManyOpenFiles
                or Errno.FileTableFull or Errno.NoMemory or Errno.TryAgain)
            {
                if (!isKilled && grace.HasPassed)
                {
                    isKilled = true;
                    if (!user.TryKill())
                        BrokerLog.UserStays(logger, lease.Id, lease.Device.Name);
                }

                if (pause == LongestPause)
                    BrokerLog.StillOpen(logger, lease.Id, lease.Device.Name);
                Thread.Sleep(pause);
            }
            catch (VfioException)
            {
                // It cannot be opened for another reason, which who asks for it next is told.
                return;
            }
        }
    }

    private static DeviceSource Find(Lease lease, bool isSuccessor = false)
    {
        DeviceSource source = DeviceSource.Find(lease.Device.Address, new VfioDeviceOptions { Timeout = OpenTimeout }, isSuccessor);
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
