namespace Vfio.Drivers.Igb;

/// <summary>The waiting for a frame: ends when the time is over or the device died.</summary>
/// <remarks>Frames come in memory, which a device that is gone leaves as it was: only its registers tell.</remarks>
internal struct IgbPatience(IgbFunction function, TimeSpan timeout)
{
    /// <summary>How often registers are read while nothing comes; a read costs about a microsecond.</summary>
    private const int LookEveryMilliseconds = 100;

    private readonly long _start = Environment.TickCount64;
    private long _nextLook = Environment.TickCount64 + LookEveryMilliseconds;
    private SpinWait _spin;

    /// <summary>How long to sleep at most until <see cref="IsOver"/> is asked.</summary>
    internal readonly TimeSpan Nap
    {
        get
        {
            double left = timeout < TimeSpan.Zero ? LookEveryMilliseconds : timeout.TotalMilliseconds - (Environment.TickCount64 - _start);
            return TimeSpan.FromMilliseconds(Math.Clamp(left, 0, LookEveryMilliseconds));
        }
    }

    /// <summary>Spins, and gives the processor to whoever else wants it.</summary>
    internal void Spin() => _spin.SpinOnce(sleep1Threshold: -1);

    /// <summary>Whether the time is over.</summary>
    /// <exception cref="VfioException">The device died.</exception>
    internal bool IsOver()
    {
        long now = Environment.TickCount64;
        if (now >= _nextLook)
        {
            _nextLook = now + LookEveryMilliseconds;
            function.ThrowIfDead("wait for a frame");
        }

        return timeout >= TimeSpan.Zero && now - _start >= timeout.TotalMilliseconds;
    }
}
