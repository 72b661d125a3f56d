namespace Vfio.Native.Waiting;

/// <summary>Whether a thread should leave the core to the thread that wakes it: a count of how often it is woken.</summary>
/// <remarks>
/// <para>Time is in ticks of any clock that moves every few milliseconds. A busy tick is one in which the thread was woken again and
/// again: its peer asks one thing after another, and waits for each. A few of those in a row lead to a trial.</para>
/// <para>A tick that is not busy ends it: the peer has paused, or a third program has the core, and lets the thread in only
/// when its own time is over. That would happen at every message, so a trial that ended soon makes the next one come later.</para>
/// </remarks>
internal sealed class WakeupPolicy
{
    private const int BusyWakes = 4, ProvenTicks = 64;
    private const int FirstTrial = 4, LastTrial = 4096, Growth = 4;
    private int _trial = FirstTrial;
    private int _busyTicks;
    private int _wakes;
    private long _tick;

    /// <summary>Whether to leave the core to the peer.</summary>
    public bool ShouldDefer { get; private set; }

    /// <summary>The thread was woken.</summary>
    /// <param name="tick">When.</param>
    /// <returns>Whether <see cref="ShouldDefer"/> is another now.</returns>
    public bool Woken(long tick)
    {
        _wakes++;
        return tick != _tick && Check(tick);
    }

    private bool Check(long tick)
    {
        bool isBusy = _wakes > BusyWakes;
        bool before = ShouldDefer;
        _tick = tick;
        _wakes = 0;
        if (isBusy)
        {
            _busyTicks++;
            ShouldDefer |= _busyTicks >= _trial;
        }
        else
        {
            if (ShouldDefer)
                _trial = _busyTicks - _trial >= ProvenTicks ? FirstTrial : Math.Min(_trial * Growth, LastTrial);
            _busyTicks = 0;
            ShouldDefer = false;
        }

        return ShouldDefer != before;
    }
}
