using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Vfio.Native.Waiting;

/// <summary>A moment by which something must have happened, or never.</summary>
/// <remarks>Milliseconds of a clock that moves with the timer's interrupt, which costs less to read than the time of day: a deadline may
/// be some milliseconds early or late. To measure how long something took, use <see cref="System.Diagnostics.Stopwatch"/>.</remarks>
internal readonly struct Deadline
{
    /// <summary>The longest time that every wait of .NET and of the kernel takes: 24.8 days.</summary>
    private const long MaxWaitMilliseconds = int.MaxValue;

    private readonly long _tick;

    /// <summary>The moment after a time; never for <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    /// <param name="timeout">From zero to <see cref="TimeSpan.MaxValue"/>, or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    /// <param name="parameter">What the caller calls it, for the exception.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is another time below zero.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Deadline(TimeSpan timeout, [CallerArgumentExpression(nameof(timeout))] string? parameter = null)
    {
        // Inlined up to here: a session makes one for each message, and nearly always it is this.
        if (timeout == Timeout.InfiniteTimeSpan)
            _tick = long.MaxValue;
        else
            _tick = After(timeout, parameter);
    }

    private Deadline(long tick) => _tick = tick;

    /// <summary>A moment that never comes.</summary>
    public static Deadline Never => new(long.MaxValue);

    /// <summary>Whether it never comes.</summary>
    public bool IsNever => _tick == long.MaxValue;

    /// <summary>Whether it is over.</summary>
    public bool HasPassed => !IsNever && HasPassedAt(Environment.TickCount64);

    /// <summary>How long to wait for it now: zero when it is over, infinite for never, and at most 24.8 days, as waits take no more. Who
    /// waited so long in vain asks <see cref="HasPassed"/> before it gives up.</summary>
    public TimeSpan Left => IsNever
        ? Timeout.InfiniteTimeSpan
        : TimeSpan.FromMilliseconds(Math.Clamp(_tick - Environment.TickCount64, 0, MaxWaitMilliseconds));

    /// <summary>How long it is until then, for people and records: zero when it is over, null for never.</summary>
    public TimeSpan? Remaining => IsNever ? null : TimeSpan.FromMilliseconds((double)Math.Max(0, _tick - Environment.TickCount64));

    /// <summary>The earlier of two.</summary>
    public static Deadline Earlier(Deadline one, Deadline other) => one._tick <= other._tick ? one : other;

    /// <summary>Refuses a time that no deadline can be made of: for options, which are checked long before they are used.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is below zero, and not <see cref="Timeout.InfiniteTimeSpan"/>.</exception>
    public static void ThrowIfInvalid(TimeSpan timeout, [CallerArgumentExpression(nameof(timeout))] string? parameter = null)
    {
        if (timeout.Ticks < 0 && timeout != Timeout.InfiniteTimeSpan)
            ThrowBelowZero(timeout, parameter);
    }

    /// <summary>Whether it is over at a moment of <see cref="Environment.TickCount64"/>.</summary>
    internal bool HasPassedAt(long tick) => !IsNever && tick >= _tick;

    internal static long CeilingMilliseconds(TimeSpan time)
    {
        (long milliseconds, long rest) = Math.DivRem(time.Ticks, TimeSpan.TicksPerMillisecond);
        return rest > 0 ? milliseconds + 1 : milliseconds;
    }

    private static long After(TimeSpan timeout, string? parameter)
    {
        if (timeout.Ticks < 0)
            ThrowBelowZero(timeout, parameter);
        return Environment.TickCount64 + CeilingMilliseconds(timeout);
    }

    [DoesNotReturn]
    private static void ThrowBelowZero(TimeSpan timeout, string? parameter) => throw new ArgumentOutOfRangeException(
        parameter, timeout, "a timeout is from zero on, or Timeout.InfiniteTimeSpan (-1 ms) for ever");
}
