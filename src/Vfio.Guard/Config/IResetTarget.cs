namespace Vfio.Guard.Config;

/// <summary>Makes the resets that a user requests through config space, and is notified of resets that the guard did not make.</summary>
internal interface IResetTarget
{
    /// <summary>Resets the function, under its lock: the owner's settings stay, the user's registers are as after power-on.</summary>
    /// <exception cref="VfioException">EIO: it failed.</exception>
    void ResetByUser(ResetMethod method);

    /// <summary>Reports that the function was reset, and not by the guard. Bus mastering ends now; the rest is restored before the next
    /// access. Any thread may call it.</summary>
    void FoundReset();

    /// <summary>As <see cref="FoundReset"/>, when the user already writes its registers again: restores what is not the user's, at
    /// once.</summary>
    void RestoreLost();
}
