namespace Vfio.Native.Waiting;

/// <summary>A wait for something that a device writes to memory, which ends when the time is over or the device died.</summary>
/// <remarks>
/// <para>A device that was removed leaves memory as it was and interrupts no more: only its registers show it. A slot
/// without hotplug, and an owner that does not signal, send no notification. So a waiting thread checks ten times a second.</para>
/// <para>Allocates nothing. One thread at a time. Kept from wait to wait, it checks during many short waits as during one long one.</para>
/// </remarks>
/// <param name="device">What is checked.</param>
/// <param name="operation">What is waited for, for the exception.</param>
internal struct LivenessWait(ILiveness device, string operation)
{
    /// <summary>The time between two checks; one takes about a microsecond where registers are mapped.</summary>
    public static readonly TimeSpan CheckInterval = TimeSpan.FromMilliseconds(100);

    private Deadline _end = Deadline.Never;
    private Deadline _nextCheck = new(CheckInterval);
    private SpinWait _spin;

    /// <summary>How long to sleep at most before <see cref="IsOver"/> is asked again.</summary>
    public readonly TimeSpan SleepTime => Deadline.Earlier(_end, _nextCheck).Left;

    /// <summary>Begins a wait.</summary>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> until it comes or the device dies.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is another time below zero.</exception>
    public void Begin(TimeSpan timeout)
    {
        _end = new Deadline(timeout);
        _spin = default;
    }

    /// <summary>Spins for a moment, and yields the processor to other threads.</summary>
    public void SpinOnce() => _spin.SpinOnce(sleep1Threshold: -1);

    /// <summary>Whether the time is over. Checks the device when it is time to.</summary>
    /// <exception cref="VfioException">The device died.</exception>
    public bool IsOver()
    {
        long now = Environment.TickCount64;
        if (_nextCheck.HasPassedAt(now))
        {
            _nextCheck = new Deadline(CheckInterval);
            device.ThrowIfDead(operation);
        }

        return _end.HasPassedAt(now);
    }
}
