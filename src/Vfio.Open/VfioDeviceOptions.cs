using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.User;

namespace Vfio;

/// <summary>Options to open a device by its address. Options in the address take precedence. An option that does not apply to a kind of
/// address is ignored.</summary>
public sealed record VfioDeviceOptions
{
    /// <summary>Timeout of a vfio-user server: of accepting this client and describing its device, in total, and of each later request. See
    /// <see cref="VfioUserClientOptions.Timeout"/>.</summary>
    /// <remarks>Default 30 s; above 0; <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for no limit. In an address:
    /// <c>unix:/run/x.sock?timeout=5s</c>, <c>?timeout=infinite</c>.</remarks>
    public TimeSpan Timeout { get; init; } = VfioUserClientOptions.DefaultTimeout;

    /// <summary>How long to wait for a server that went away; default zero, no wait. See
    /// <see cref="VfioUserClientOptions.ReconnectTimeout"/>.</summary>
    /// <remarks>In an address: <c>unix:/run/x.sock?reconnect=5s</c>.</remarks>
    public TimeSpan Reconnect { get; init; }

    /// <summary>Gets log entries when a server is lost, found again or given up, and by which interface a device of the kernel is
    /// opened.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
