using System.Diagnostics;

namespace Vfio.Captures;

/// <summary>The time of day for a capture: set once; from then on it never goes back, even if the machine's clock is changed.</summary>
internal sealed class CaptureClock
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly ulong _startNanoseconds =
        (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * (1_000_000_000 / TimeSpan.TicksPerSecond);

    /// <summary>Nanoseconds since 1970-01-01 UTC.</summary>
    public ulong Now => _startNanoseconds + (ulong)((Stopwatch.GetTimestamp() - _start) * (1e9 / Stopwatch.Frequency));
}
