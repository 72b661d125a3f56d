using System.Diagnostics;

namespace Vfio.Net;

/// <summary>The time of day for a capture: set once, and from then on it only goes forward, whatever becomes of the machine's clock.</summary>
public sealed class CaptureClock
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly ulong _startNanoseconds =
        (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * (1_000_000_000 / TimeSpan.TicksPerSecond);

    /// <summary>Nanoseconds since 1970-01-01 UTC.</summary>
    public ulong Now => _startNanoseconds + (ulong)((Stopwatch.GetTimestamp() - _start) * (1e9 / Stopwatch.Frequency));
}
