using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.Broker.Audit;
using Vfio.Broker.Control;
using Vfio.Broker.Leases;
using Vfio.Broker.Metrics;
using Vfio.Broker.Policies;
using Vfio.Kernel;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Handover;

namespace Vfio.Broker;

/// <summary>Assigns devices to users of this machine under a policy, and takes them back.</summary>
/// <remarks>It runs from its making to <see cref="Dispose"/>, on threads of its own. Any thread may use it.</remarks>
internal sealed class DeviceBroker : IDisposable
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    /// <summary>How long a broker that was taken over from may keep its address for metrics.</summary>
    private static readonly TimeSpan MetricsTimeout = TimeSpan.FromMinutes(1);
    private readonly DeviceBrokerOptions _options;
    private readonly AuditLog _audit;
    private readonly LeaseTable _leases;
    private readonly ControlServer _control;
    private readonly MetricsEndpoint? _metrics;
    private readonly BrokerHandover? _handover;
    private readonly TaskCompletionSource _departed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Timer _timer;
    private readonly Lock _checking = new();
    private readonly Lock _reloading = new();
    private bool _isDisposed;

    /// <summary>Reads the policy, and listens.</summary>
    /// <exception cref="VfioException">The policy is not valid, the audit cannot be written, or another process listens there.</exception>
    internal DeviceBroker(DeviceBrokerOptions options)
    {
        _options = options;
        BrokerPolicy policy = PolicyFile.Load(options.PolicyPath);
        _audit = options.AuditPath is { } path ? AuditLog.ToFile(path) : AuditLog.ToStandardError();
        DeviceFinder finder = new(new PciTopology(new KernelPaths().Sysfs));
        _timer = new Timer(_ => Check());
        _leases = new LeaseTable(policy, finder, options.RequestTimeout, options.HandoverPath is not null, _audit, options.Logger, Check);
        Policy = policy;
        PreviousBroker? previous = null;
        UnixListener? listener = null, next = null;
        try
        {
            // First: it counts what happens from here on.
            TimeSpan timeout = options.TakeOverPath is null ? TimeSpan.Zero : MetricsTimeout;
            _metrics = options.MetricsPlace is { } place ? new MetricsEndpoint(place, timeout, options.Logger) : null;
            if (options.TakeOverPath is { } from)
            {
                previous = PreviousBroker.Ask(from);
                previous.TakeAll(_leases, out listener, out next);
            }
            else
            {
                listener = options.Listener is { } given ? UnixListener.FromDescriptor(given) : UnixListener.Bind(options.SocketPath, options.SocketMode);
            }

            next = PlaceForNext(next, options.HandoverPath);
        }
        catch
        {
            _isDisposed = true;
            _leases.Stop(StopTimeout);
            listener?.Dispose();
            previous?.Dispose();
            _timer.Dispose();
            _metrics?.Dispose();
            _audit.Dispose();
            throw;
        }

        _control = new ControlServer(listener, _leases, options.RequestTimeout, options.Logger) { Changed = Check };
        Adopt(previous);
        if (next is not null)
            _handover = new BrokerHandover(next, _leases, _control, options.Logger, () => _departed.TrySetResult());
        _audit.TryWrite(new AuditRecord("start") { Asked = options.PolicyPath, Count = previous?.Taken.Count });
        Check();
    }

    /// <summary>Complete when another broker has taken over: this one is to be disposed, and gives nothing.</summary>
    internal Task Departed => _departed.Task;

    /// <summary>The policy that counts now.</summary>
    internal BrokerPolicy Policy { get; private set; }

    /// <summary>Where the metrics are to be had; null where they are not.</summary>
    internal IPEndPoint? MetricsPlace => _metrics?.Place;

    /// <summary>How many leases there are.</summary>
    internal int LeaseCount => _leases.Count;

    /// <summary>The loop that answers requests.</summary>
    internal EventLoop Loop => _control.Loop;

    /// <summary>Reads the policy again, and opens the audit's file again; leases go on. When the policy is not valid, the one before stays.</summary>
    /// <returns>Whether it was valid.</returns>
    internal bool TryReload()
    {
        lock (_reloading)
        {
            ReopenAudit();
            try
            {
                BrokerPolicy policy = PolicyFile.Load(_options.PolicyPath);
                Policy = policy;
                _leases.SetPolicy(policy);
                _audit.TryWrite(new AuditRecord("policy") { Asked = _options.PolicyPath });
                BrokerLog.PolicyRead(_options.Logger, policy.Devices.Count, policy.Rules.Count);
                return true;
            }
            catch (VfioException refusal)
            {
                _audit.TryWrite(new AuditRecord("policy") { Asked = _options.PolicyPath, Error = refusal.Errno, Reason = refusal.Message });
                BrokerLog.PolicyRefused(_options.Logger, refusal.Message);
                return false;
            }
        }
    }

    private void ReopenAudit()
    {
        try
        {
            _audit.Reopen();
        }
        catch (VfioException refusal)
        {
            BrokerLog.AuditStays(_options.Logger, refusal.Message);
        }
    }

    /// <summary>Takes all devices back, and ends.</summary>
    public void Dispose()
    {
        _handover?.Dispose();
        _control.StopListening();
        if (!_leases.Stop(StopTimeout))
            BrokerLog.DoesNotEnd(_options.Logger, _leases.Count);
        lock (_checking)
            _isDisposed = true;
        _timer.Dispose();
        _control.Dispose();
        _metrics?.Dispose();
        _audit.TryWrite(new AuditRecord("stop"));
        _audit.Dispose();
    }

    /// <summary>The socket where the next broker asks: that of the one before, where it is at the same place.</summary>
    private static UnixListener? PlaceForNext(UnixListener? taken, string? path)
    {
        if (taken is null)
            return path is null ? null : HandoverPoint.Listen(path);
        if (path is not null && Path.GetFullPath(path) == taken.Path)
            return taken;
        taken.Dispose();
        return path is null ? null : HandoverPoint.Listen(path);
    }

    private void Adopt(PreviousBroker? previous)
    {
        if (previous is null)
            return;
        foreach ((Lease lease, FileDescriptor? owner, FileDescriptor? listener) in previous.Taken)
        {
            if (owner is not null)
                _control.Adopt(owner, lease);
            if (listener is null)
                continue;
            try
            {
                _leases.Listen(lease, UnixListener.FromDescriptor(listener), _control.Loop);
            }
            catch (VfioException)
            {
                // It has ended since it was taken over: requests are answered already.
            }
        }

        previous.Dispose();
    }

    // Time passes in one place: the timer is due when the first lease or connection is, and sleeps when none is.
    private void Check()
    {
        try
        {
            lock (_checking)
            {
                if (!_isDisposed && _control is not null)
                    _timer.Change(Deadline.Earlier(_leases.Check(), _control.Check()).Left, Timeout.InfiniteTimeSpan);
            }
        }
        catch (Exception failure)
        {
            // A fault of this process; the next change of a lease or a connection checks again.
            BrokerLog.RequestFailed(_options.Logger, failure);
        }
    }
}

/// <summary>Where a broker listens, and by which policy it decides.</summary>
internal sealed record DeviceBrokerOptions
{
    /// <summary>The file of the policy.</summary>
    internal required string PolicyPath { get; init; }

    /// <summary>The socket's file.</summary>
    internal required string SocketPath { get; init; }

    /// <summary>A socket that listens already, in place of <see cref="SocketPath"/>; owned by the broker. Null for none.</summary>
    internal FileDescriptor? Listener { get; init; }

    /// <summary>Who may connect to ask; what they get is the policy's. Default: everybody.</summary>
    internal UnixFileMode SocketMode { get; init; } =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>The file of the audit; null for standard error.</summary>
    internal string? AuditPath { get; init; }

    /// <summary>Where another broker may take over; null for nowhere.</summary>
    internal string? HandoverPath { get; init; }

    /// <summary>Take over from the broker that waits there, sockets and leases, in place of <see cref="SocketPath"/>; null for none.</summary>
    internal string? TakeOverPath { get; init; }

    /// <summary>Where Prometheus gets the metrics; null for nowhere.</summary>
    internal IPEndPoint? MetricsPlace { get; init; }

    /// <summary>How long a connection may send no request, and who has got a device may take to negotiate; 10 s.</summary>
    internal TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Faults are logged there.</summary>
    internal ILogger Logger { get; init; } = NullLogger.Instance;
}
