using System.Runtime.CompilerServices;

namespace Vfio.User;

/// <summary>A moment by which something must have happened, or never.</summary>
internal readonly struct Deadline
{
    private readonly long _tick;

    /// <summary>The moment after a time; never for <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Deadline(TimeSpan timeout) =>
        _tick = timeout < TimeSpan.Zero ? long.MaxValue : Environment.TickCount64 + (long)Math.Ceiling(timeout.TotalMilliseconds);

    private Deadline(long tick) => _tick = tick;

    /// <summary>A moment that never comes.</summary>
    internal static Deadline Never => new(long.MaxValue);

    /// <summary>Whether it never comes.</summary>
    internal bool IsNever => _tick == long.MaxValue;

    /// <summary>Whether it is over.</summary>
    internal bool HasPassed => !IsNever && Environment.TickCount64 >= _tick;

    /// <summary>How long until then; infinite for never.</summary>
    internal TimeSpan Left =>
        IsNever ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(Math.Max(0, _tick - Environment.TickCount64));

    /// <summary>The earlier of two.</summary>
    internal static Deadline Earlier(Deadline one, Deadline other) => one._tick <= other._tick ? one : other;
}
