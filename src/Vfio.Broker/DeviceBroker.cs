using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.Broker.Audit;
using Vfio.Broker.Control;
using Vfio.Broker.Leases;
using Vfio.Broker.Policies;
using Vfio.Kernel;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Broker;

/// <summary>Assigns devices to users of this machine under a policy, and takes them back.</summary>
/// <remarks>It runs from its making to <see cref="Dispose"/>, on threads of its own. Any thread may use it.</remarks>
internal sealed class DeviceBroker : IDisposable
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);
    private readonly DeviceBrokerOptions _options;
    private readonly AuditLog _audit;
    private readonly LeaseTable _leases;
    private readonly ControlServer _control;
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
        UnixListener listener;
        try
        {
            listener = options.Listener is { } given ? UnixListener.FromDescriptor(given) : UnixListener.Bind(options.SocketPath, options.SocketMode);
        }
        catch
        {
            _audit.Dispose();
            throw;
        }

        DeviceFinder finder = new(new PciTopology(new KernelPaths().Sysfs));
        _timer = new Timer(_ => Check());
        _leases = new LeaseTable(policy, finder, options.RequestTimeout, _audit, options.Logger, Check);
        _control = new ControlServer(listener, _leases, options.RequestTimeout, options.Logger) { Changed = Check };
        Policy = policy;
        _audit.TryWrite(new AuditRecord("start") { Asked = options.PolicyPath });
    }

    /// <summary>The policy that counts now.</summary>
    internal BrokerPolicy Policy { get; private set; }

    /// <summary>How many leases there are.</summary>
    internal int LeaseCount => _leases.Count;

    /// <summary>The loop that answers requests.</summary>
    internal EventLoop Loop => _control.Loop;

    /// <summary>Reads the policy again; leases go on. When it is not valid, the one before stays.</summary>
    /// <returns>Whether it was valid.</returns>
    internal bool TryReload()
    {
        lock (_reloading)
        {
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

    /// <summary>Takes all devices back, and ends.</summary>
    public void Dispose()
    {
        _control.StopListening();
        if (!_leases.Stop(StopTimeout))
            BrokerLog.DoesNotEnd(_options.Logger, _leases.Count);
        lock (_checking)
            _isDisposed = true;
        _timer.Dispose();
        _control.Dispose();
        _audit.TryWrite(new AuditRecord("stop"));
        _audit.Dispose();
    }

    // Time passes in one place: the timer is due when the first lease or connection is, and sleeps when none is.
    private void Check()
    {
        try
        {
            lock (_checking)
            {
                if (!_isDisposed)
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

    /// <summary>How long a connection may send no request, and who has got a device may take to negotiate; 10 s.</summary>
    internal TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Faults are logged there.</summary>
    internal ILogger Logger { get; init; } = NullLogger.Instance;
}
