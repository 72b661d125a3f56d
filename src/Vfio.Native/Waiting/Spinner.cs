using System.Diagnostics;

namespace Vfio.Native.Waiting;

/// <summary>Polls for a while, where that spares a sleep.</summary>
/// <remarks>What is looked at is a struct, so that the compiler makes a loop of its own for each kind, without a call and without an
/// allocation. Used by one thread at a time.</remarks>
internal sealed class Spinner
{
    /// <summary>How long to poll by default: a peer that has to be woken itself answers within this.</summary>
    public static readonly TimeSpan DefaultTime = TimeSpan.FromMicroseconds(100);

    private readonly SpinBudget _budget = new();
    private readonly long _ticks;
    private readonly bool _isOff;
    private readonly bool _isEndless;

    /// <summary>Makes one for one thing that is waited for again and again.</summary>
    /// <param name="time">How long to look; zero never, <see cref="Timeout.InfiniteTimeSpan"/> until something comes.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is another time below zero.</exception>
    public Spinner(TimeSpan time)
    {
        Deadline.ThrowIfInvalid(time);
        _isOff = time == TimeSpan.Zero;
        _isEndless = time < TimeSpan.Zero;
        _ticks = (long)(time.TotalSeconds * Stopwatch.Frequency);
    }

    /// <summary>Whether to look before the next sleep.</summary>
    public bool IsWorthIt => !_isOff && (_isEndless || _budget.ShouldSpin);

    /// <summary>Polls; to be called where <see cref="IsWorthIt"/>.</summary>
    /// <typeparam name="T">The kind of thing.</typeparam>
    /// <param name="target">Where to look.</param>
    /// <param name="deadline">When to stop.</param>
    /// <returns>False when the caller should sleep now; true when it was found, or the deadline has passed.</returns>
    public bool TrySpin<T>(ref T target, Deadline deadline)
        where T : struct, ISpinTarget
    {
        long start = Stopwatch.GetTimestamp();
        for (bool isFirst = true; ; isFirst = false)
        {
            if (target.TryFind())
            {
                // What was there already would have been found without a sleep too.
                if (!isFirst)
                    _budget.Gained();
                return true;
            }

            if (deadline.HasPassed)
                return true;
            if (target.IsInterrupted)
                return false;
            if (_isEndless || Stopwatch.GetTimestamp() - start < _ticks)
                continue;
            _budget.Missed();
            return false;
        }
    }

    /// <summary>To be called before a sleep.</summary>
    /// <returns>For <see cref="EndSleep"/>.</returns>
    public long BeginSleep() => _isOff ? 0 : Stopwatch.GetTimestamp();

    /// <summary>To be called after a sleep that ended with what was waited for.</summary>
    /// <param name="begin">When it began.</param>
    public void EndSleep(long begin)
    {
        // The sleep has the time in it that it took to be woken, which is as long again.
        if (!_isOff)
            _budget.Slept(isShort: Stopwatch.GetTimestamp() - begin < 2 * _ticks);
    }
}
