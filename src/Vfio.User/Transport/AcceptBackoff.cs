using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.User.Transport;

/// <summary>The backoff of an accept loop while clients cannot be accepted: waits longer and longer, and logs it once.</summary>
/// <remarks>A client that cannot be accepted, for example without a free descriptor, stays in the backlog, and the listening socket
/// stays readable: a loop without a wait would spin. For one thread.</remarks>
internal sealed class AcceptBackoff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);
    private TimeSpan _pause;
    private readonly ILogger _logger;
    private int _failures;

    /// <summary>Makes one, before the first client comes.</summary>
    /// <param name="logger">Where the first failure and the end of the failures are logged.</param>
    internal AcceptBackoff(ILogger logger)
    {
        _logger = logger;

        // A process without a free descriptor cannot load an assembly. What the text of a failure needs is loaded here.
        _ = new VfioException("accept", "", Errno.TooManyOpenFiles);
    }

    /// <summary>Accepts a waiting client.</summary>
    /// <param name="listener">The listening socket.</param>
    /// <param name="stop">Ends the wait after a failure.</param>
    /// <returns>Null when there is none, or none can be accepted for now.</returns>
    internal UnixSocket? TryAccept(UnixListener listener, EventFd stop)
    {
        try
        {
            UnixSocket? socket = listener.TryAccept();
            if (socket is not null && _failures > 0)
            {
                ServerLog.AcceptsAgain(_logger, _failures);
                _failures = 0;
            }

            return socket;
        }
        catch (VfioException refusal) when (refusal.Errno != Errno.InvalidArgument)
        {
            _pause = _failures == 0 ? First : TimeSpan.FromTicks(Math.Min(2 * _pause.Ticks, Longest.Ticks));
            if (_failures++ == 0)
                ServerLog.AcceptFailed(_logger, refusal.Message);
            Poll.WaitReadable(stop.Descriptor, _pause);
            return null;
        }
    }
}
