namespace Vfio.Guard.Emulation;

/// <summary>One register of a <see cref="RegisterMap{TRegister}"/>.</summary>
/// <typeparam name="TRegister">The enumeration that names the registers.</typeparam>
/// <param name="Offset">Its offset in bytes; a multiple of <paramref name="Bytes"/>.</param>
/// <param name="Bytes">1, 2, 4 or 8.</param>
/// <param name="Register">Which register.</param>
/// <param name="Reset">Its value after reset.</param>
/// <param name="Writable">The bits that a write changes.</param>
/// <param name="WriteOneToClear">The bits that a written 1 clears.</param>
internal readonly record struct RegisterRow<TRegister>(
    ulong Offset, int Bytes, TRegister Register, ulong Reset, ulong Writable, ulong WriteOneToClear)
    where TRegister : struct, Enum
{
    /// <summary>The end of the register: the lowest offset of the next one, in bytes.</summary>
    public ulong End => Offset + (ulong)Bytes;
}
