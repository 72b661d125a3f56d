namespace Vfio.Devices.Edu;

/// <summary>What the shell has to do after a step of <see cref="EduCore"/>.</summary>
[Flags]
internal enum EduEffects
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Compute the factorial of <see cref="EduCore.Operand"/> and bring it to <see cref="EduCore.FinishFactorial"/>.</summary>
    ComputeFactorial = 1,

    /// <summary>Do <see cref="EduCore.Transfer"/> and bring it to <see cref="EduCore.FinishTransfer"/>.</summary>
    DoTransfer = 2,

    /// <summary>Raise the interrupt, also when it is raised already: MSI sends one more message.</summary>
    RaiseInterrupt = 4,

    /// <summary>No cause is left: end the interrupt.</summary>
    EndInterrupt = 8,
}
