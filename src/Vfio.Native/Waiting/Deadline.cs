using System.Runtime.CompilerServices;

namespace Vfio.Native;

/// <summary>A moment by which something must have happened, or never.</summary>
public readonly struct Deadline
{
    private readonly long _tick;

    /// <summary>The moment after a time; never for <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Deadline(TimeSpan timeout) =>
        _tick = timeout < TimeSpan.Zero ? long.MaxValue : Environment.TickCount64 + (long)Math.Ceiling(timeout.TotalMilliseconds);

    private Deadline(long tick) => _tick = tick;

    /// <summary>A moment that never comes.</summary>
    public static Deadline Never => new(long.MaxValue);

    /// <summary>Whether it never comes.</summary>
    public bool IsNever => _tick == long.MaxValue;

    /// <summary>Whether it is over.</summary>
    public bool HasPassed => !IsNever && Environment.TickCount64 >= _tick;

    /// <summary>How long until then; infinite for never.</summary>
    public TimeSpan Left =>
        IsNever ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(Math.Max(0, _tick - Environment.TickCount64));

    /// <summary>The earlier of two.</summary>
    public static Deadline Earlier(Deadline one, Deadline other) => one._tick <= other._tick ? one : other;
}
