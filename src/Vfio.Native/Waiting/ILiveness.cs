namespace Vfio.Native.Waiting;

/// <summary>A device that can report whether an event that is waited for can still come.</summary>
internal interface ILiveness
{
    /// <summary>Asks the device itself, by a register say.</summary>
    /// <param name="operation">What is waited for, for the exception.</param>
    /// <exception cref="VfioException">It cannot come any more: ENODEV when the device is gone, or what else became of it.</exception>
    void ThrowIfDead(string operation);
}
