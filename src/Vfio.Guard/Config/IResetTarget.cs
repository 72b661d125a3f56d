namespace Vfio.Guard;

/// <summary>Makes the resets that a user asks for through config space.</summary>
internal interface IResetTarget
{
    /// <summary>Resets the function, in its turn: what its owner set stays, the user's registers are as after power-on.</summary>
    /// <exception cref="VfioException">EIO: it failed.</exception>
    void ResetByUser(ResetMethod method);
}
