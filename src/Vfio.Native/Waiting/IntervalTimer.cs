using Vfio.Native.Interop;

namespace Vfio.Native.Waiting;

/// <summary>A timer whose descriptor is readable once its time is over, again and again. See timerfd_create(2).</summary>
internal sealed unsafe class IntervalTimer : IDisposable
{
    /// <summary>Starts one.</summary>
    /// <param name="interval">Above zero.</param>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    internal IntervalTimer(TimeSpan interval)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        int number = LibC.timerfd_create(LibC.CLOCK_MONOTONIC, LibC.TFD_CLOEXEC | LibC.TFD_NONBLOCK);
        Descriptor = number >= 0 ? new FileDescriptor(number) : throw VfioException.FromLastError("timerfd_create", "this process");
        (long seconds, long ticks) = Math.DivRem(interval.Ticks, TimeSpan.TicksPerSecond);
        LibC.TimerTime time = new() { Seconds = seconds, Nanoseconds = ticks * TimeSpan.NanosecondsPerTick };
        LibC.TimerSetting setting = new() { Interval = time, First = time };

        // SAFETY: the kernel reads the setting during the call, and gets no memory for the previous one.
        if (LibC.timerfd_settime(Descriptor.Number, 0, &setting, null) == 0)
            return;
        VfioException refusal = VfioException.FromLastError("timerfd_settime", "this process");
        Descriptor.Dispose();
        throw refusal;
    }

    /// <summary>What is readable when the time is over.</summary>
    internal FileDescriptor Descriptor { get; }

    /// <summary>Makes the descriptor readable again when the next interval is over.</summary>
    internal void Rearm()
    {
        // SAFETY: the kernel writes at most the 8 bytes of count, which lives through the call.
        ulong count;
        _ = LibC.read(Descriptor.Number, &count, sizeof(ulong));
    }

    /// <inheritdoc/>
    public void Dispose() => Descriptor.Dispose();
}
