namespace Vfio.Guard.Config;

/// <summary>Makes the resets that a user asks for through config space, and hears of those that nobody asked for.</summary>
internal interface IResetTarget
{
    /// <summary>Resets the function, under its lock: what its owner set stays, the user's registers are as after power-on.</summary>
    /// <exception cref="VfioException">EIO: it failed.</exception>
    void ResetByUser(ResetMethod method);

    /// <summary>The function was reset, and not by the guard: it masters the bus no more, and all else is set right before the next
    /// access. Any thread may say so.</summary>
    void FoundReset();

    /// <summary>As <see cref="FoundReset"/>, where the user writes its registers anew already: brings back what is not the user's, at
    /// once.</summary>
    void RestoreLost();
}
