using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.User;

namespace Vfio;

/// <summary>How a device is opened by its address. What an address says itself goes before what is said here, and what makes no sense
/// for a kind of address is passed over.</summary>
public sealed record VfioDeviceOptions
{
    /// <summary>How long the server at the end of a socket may take: to take this client and say what the device is, all together, and
    /// then over each request. See <see cref="VfioUserClientOptions.Timeout"/>.</summary>
    /// <remarks>30 s unless said otherwise; above 0; <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for ever. In an
    /// address: <c>unix:/run/x.sock?timeout=5s</c>, <c>?timeout=infinite</c>.</remarks>
    public TimeSpan Timeout { get; init; } = VfioUserClientOptions.DefaultTimeout;

    /// <summary>How long a server that went away is waited for; not at all unless said otherwise. See
    /// <see cref="VfioUserClientOptions.ReconnectTimeout"/>.</summary>
    /// <remarks>In an address: <c>unix:/run/x.sock?reconnect=5s</c>.</remarks>
    public TimeSpan Reconnect { get; init; }

    /// <summary>Where it is logged that a server was lost, found again or given up.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
