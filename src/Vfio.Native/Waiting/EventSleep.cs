namespace Vfio.Native.Waiting;

/// <summary>Sleeps until an eventfd is signalled or a moment has passed, again and again, by one system call a sleep.</summary>
/// <remarks>
/// <para>A signal ends one sleep, also when it came before that began; several in between end one. The counter is not read, which
/// would be a call more: whoever else waits for the eventfd finds it signalled still.</para>
/// <para>The moments are those of one timer that goes on by itself, as a time-out of each sleep costs as much as an eighth of it. A
/// first sleep after a pause may end at once for one that passed meanwhile. While nobody sleeps the timer wakes nobody.</para>
/// <para>One thread at a time.</para>
/// </remarks>
internal sealed class EventSleep : IDisposable
{
    private const ulong SignalToken = 0, TimerToken = 1;
    private readonly FileDescriptor _signal;
    private readonly IntervalTimer _timer;
    private readonly Epoll _epoll;

    /// <summary>Sleeps for an eventfd.</summary>
    /// <param name="signal">What ends a sleep; its descriptor stays open until this object is disposed.</param>
    /// <param name="moment">The longest sleep.</param>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    public EventSleep(EventFd signal, TimeSpan moment)
    {
        ArgumentNullException.ThrowIfNull(signal);
        _timer = new IntervalTimer(moment);
        try
        {
            _epoll = new Epoll();
            try
            {
                _epoll.Add(_timer.Descriptor, TimerToken, Epoll.Mode.Edge);
                _epoll.Add(signal.Descriptor, SignalToken, Epoll.Mode.Edge);
            }
            catch
            {
                _epoll.Dispose();
                throw;
            }
        }
        catch
        {
            _timer.Dispose();
            throw;
        }

        // Closed under a sleep, it would end none any more.
        bool held = false;
        _signal = signal.Descriptor;
        _signal.DangerousAddRef(ref held);
    }

    /// <summary>Sleeps, unless the eventfd was signalled since the last time.</summary>
    /// <returns>Whether it was signalled; otherwise a moment has passed, or a signal came to the process.</returns>
    public bool Sleep()
    {
        Span<ulong> tokens = stackalloc ulong[2];
        int count = _epoll.Wait(tokens, Timeout.InfiniteTimeSpan);
        tokens = tokens[..count];
        if (tokens.Contains(TimerToken))
            _timer.Rearm();
        return tokens.Contains(SignalToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _epoll.Dispose();
        _timer.Dispose();
        _signal.DangerousRelease();
    }
}
