namespace Vfio.Drivers.Igb;

/// <summary>The waiting for a frame: ends when the time is over or the device died.</summary>
internal struct IgbPatience(IgbLookout lookout, TimeSpan timeout)
{
    private readonly long _start = Environment.TickCount64;
    private SpinWait _spin;

    /// <summary>How long to sleep at most until <see cref="IsOver"/> is asked.</summary>
    internal readonly TimeSpan Nap
    {
        get
        {
            if (timeout < TimeSpan.Zero)
                return IgbLookout.Interval;
            double left = timeout.TotalMilliseconds - (Environment.TickCount64 - _start);
            return TimeSpan.FromMilliseconds(Math.Clamp(left, 0, IgbLookout.Interval.TotalMilliseconds));
        }
    }

    /// <summary>Spins, and gives the processor to whoever else wants it.</summary>
    internal void Spin() => _spin.SpinOnce(sleep1Threshold: -1);

    /// <summary>Whether the time is over.</summary>
    /// <exception cref="VfioException">The device died.</exception>
    internal readonly bool IsOver()
    {
        lookout.Look();
        return timeout >= TimeSpan.Zero && Environment.TickCount64 - _start >= timeout.TotalMilliseconds;
    }
}
