using System.Diagnostics;
using Vfio.Native;

namespace Vfio.User;

/// <summary>Looks for bytes of the peer for a while, where that spares a sleep.</summary>
/// <remarks>Used by one thread at a time.</remarks>
internal sealed class Spinner
{
    /// <summary>How long to look unless told otherwise: a peer that has to be woken itself answers within this.</summary>
    internal static readonly TimeSpan DefaultTime = TimeSpan.FromMicroseconds(100);

    private readonly SpinBudget _budget = new();
    private readonly long _ticks;
    private readonly bool _isOff;
    private readonly bool _isEndless;

    /// <summary>Makes one for a connection.</summary>
    /// <param name="time">How long to look; zero never, infinite until something comes.</param>
    internal Spinner(TimeSpan time)
    {
        _isOff = time == TimeSpan.Zero;
        _isEndless = time < TimeSpan.Zero;
        _ticks = (long)(time.TotalSeconds * Stopwatch.Frequency);
    }

    /// <summary>Whether to look before the next sleep.</summary>
    internal bool IsWorthIt => !_isOff && (_isEndless || _budget.ShouldSpin);

    /// <summary>Looks; to be called where <see cref="IsWorthIt"/>.</summary>
    /// <param name="socket">The connection.</param>
    /// <param name="buffer">Where bytes go.</param>
    /// <param name="deadline">When to give up.</param>
    /// <param name="handover">Who else may want the thread; null for nobody.</param>
    /// <param name="count">As <see cref="UnixSocket.Receive"/>.</param>
    /// <param name="error">As well; <see cref="Errno.TryAgain"/> once the deadline has passed.</param>
    /// <returns>False when the caller should sleep now.</returns>
    internal bool TryReceive(
        UnixSocket socket, MessageBuffer buffer, Deadline deadline, HandoverPoint? handover, out int count, out Errno error)
    {
        count = -1;
        error = Errno.TryAgain;
        long start = Stopwatch.GetTimestamp();
        for (bool isFirst = true; ; isFirst = false)
        {
            count = buffer.ReceiveBytes(socket, wait: false, out error);
            if (count >= 0 || error != Errno.TryAgain)
            {
                // What was there already would have been received without a sleep too.
                if (!isFirst)
                    _budget.Gained();
                return true;
            }

            if (deadline.HasPassed)
                return true;
            if (handover is { IsAsked: true })
                return false;
            if (_isEndless || Stopwatch.GetTimestamp() - start < _ticks)
                continue;
            _budget.Missed();
            return false;
        }
    }

    /// <summary>To be called before a sleep.</summary>
    /// <returns>For <see cref="EndSleep"/>.</returns>
    internal long BeginSleep() => _isOff ? 0 : Stopwatch.GetTimestamp();

    /// <summary>To be called after a sleep that bytes ended.</summary>
    internal void EndSleep(long begin)
    {
        // The sleep has the time in it that it took to be woken, which is as long again.
        if (!_isOff)
            _budget.Slept(isShort: Stopwatch.GetTimestamp() - begin < 2 * _ticks);
    }
}
