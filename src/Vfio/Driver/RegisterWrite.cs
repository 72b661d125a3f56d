namespace Vfio;

/// <summary>One register write, for several at once; see <see cref="Bar.Write(ReadOnlySpan{RegisterWrite})"/>.</summary>
/// <param name="Offset">Where in the BAR, in bytes; a multiple of <paramref name="Width"/>.</param>
/// <param name="Width">1, 2, 4 or 8 bytes.</param>
/// <param name="Value">What is written.</param>
public readonly record struct RegisterWrite(long Offset, int Width, ulong Value)
{
    /// <summary>8 bits.</summary>
    public static RegisterWrite Of8(long offset, byte value) => new(offset, 1, value);

    /// <summary>16 bits.</summary>
    public static RegisterWrite Of16(long offset, ushort value) => new(offset, 2, value);

    /// <summary>32 bits.</summary>
    public static RegisterWrite Of32(long offset, uint value) => new(offset, 4, value);

    /// <summary>64 bits.</summary>
    public static RegisterWrite Of64(long offset, ulong value) => new(offset, 8, value);
}
