namespace Vfio.Guard.Emulation;

/// <summary>One place of a <see cref="RegisterMap{TRegister}"/> where a register is.</summary>
/// <typeparam name="TRegister">The enumeration that names the registers.</typeparam>
/// <param name="Offset">Its offset in bytes; a multiple of <paramref name="Bytes"/>.</param>
/// <param name="Bytes">1, 2, 4 or 8.</param>
/// <param name="Register">Which register, or which series of registers.</param>
/// <param name="Index">Its number in the series; 0 for a register that is alone.</param>
/// <param name="Slot">Which value it shows: places of one register share it.</param>
/// <param name="Masks">What accesses do.</param>
internal readonly record struct RegisterRow<TRegister>(
    ulong Offset, int Bytes, TRegister Register, int Index, int Slot, RegisterMasks Masks)
    where TRegister : struct, Enum
{
    /// <summary>The end of the register: the lowest offset of the next one, in bytes.</summary>
    public ulong End => Offset + (ulong)Bytes;

    /// <summary>Its value after reset.</summary>
    public ulong Reset => Masks.Reset;

    /// <summary>The bits that a write changes.</summary>
    public ulong Writable => Masks.Writable;

    /// <summary>The bits that a written 1 clears.</summary>
    public ulong WriteOneToClear => Masks.WriteOneToClear;
}

/// <summary>What accesses do to a register.</summary>
/// <param name="Reset">Its value after reset.</param>
/// <param name="Writable">The bits that a write changes.</param>
/// <param name="WriteOneToClear">The bits that a written 1 clears.</param>
/// <param name="ReadToClear">The bits that a read clears.</param>
internal readonly record struct RegisterMasks(ulong Reset, ulong Writable, ulong WriteOneToClear, ulong ReadToClear);
