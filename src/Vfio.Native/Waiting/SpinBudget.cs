namespace Vfio.Native.Waiting;

/// <summary>Whether looking for bytes before sleeping is worth it: a count of how often it was.</summary>
/// <remarks>
/// <para>To be woken costs tens of microseconds on another core, so a thread that looks a little longer answers sooner. It only
/// costs time when the peer shares its core, or is slow.</para>
/// <para>It starts by sleeping. When sleeps were short many times, it tries to look instead. What comes while it looks is a credit, a
/// look for nothing costs two, and without credit it sleeps again. A trial that brought nothing at all makes the next one come
/// eight times later, for the short sleeps then show a peer that cannot run while this thread does.</para>
/// </remarks>
internal sealed class SpinBudget
{
    private const int FirstTrial = 16, LastTrial = 1 << 16, Growth = 8;
    private const int Miss = 2, MaxCredit = 32;
    private int _trial = FirstTrial;
    private int _shortSleeps;
    private int _credit;
    private bool _hasGained;

    /// <summary>Whether to look before the next sleep.</summary>
    public bool ShouldSpin => _credit > 0;

    /// <summary>Bytes came while it looked, and not at once.</summary>
    public void Gained()
    {
        _hasGained = true;
        _credit = Math.Min(_credit + 1, MaxCredit);
    }

    /// <summary>It looked, and nothing came.</summary>
    public void Missed()
    {
        _credit -= Miss;
        if (ShouldSpin)
            return;
        _trial = _hasGained ? FirstTrial : Math.Min(_trial * Growth, LastTrial);
        _shortSleeps = 0;
    }

    /// <summary>It slept.</summary>
    /// <param name="isShort">Whether so shortly that a look might have been enough.</param>
    public void Slept(bool isShort)
    {
        if (ShouldSpin || !isShort || ++_shortSleeps < _trial)
            return;
        _hasGained = false;
        _credit = 1;
    }
}
