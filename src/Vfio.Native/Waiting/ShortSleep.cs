using Vfio.Native.Interop;

namespace Vfio.Native.Waiting;

/// <summary>Sleeps for less than the millisecond that <see cref="Thread.Sleep(TimeSpan)"/> rounds to.</summary>
internal static class ShortSleep
{
    /// <summary>The longest sleep; a longer one ends after that time.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(10);

    /// <summary>Sleeps, or less when a signal comes. See nanosleep(2): the kernel adds up to 50 us.</summary>
    /// <param name="time">How long; none when it is not above zero.</param>
    public static unsafe void For(TimeSpan time)
    {
        if (time <= TimeSpan.Zero)
            return;
        LibC.TimerTime wanted = new() { Nanoseconds = (long)Math.Min(time.TotalNanoseconds, Longest.TotalNanoseconds) };

        // SAFETY: the kernel reads it during the call, and gets no memory for what is left.
        _ = LibC.nanosleep(&wanted, null);
    }
}
