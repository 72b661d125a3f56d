namespace Vfio;

/// <summary>One register read, for several at once; see <see cref="Bar"/>.</summary>
/// <param name="Offset">Where in the BAR, in bytes; a multiple of <paramref name="Width"/>.</param>
/// <param name="Width">1, 2, 4 or 8 bytes.</param>
public readonly record struct RegisterRead(long Offset, int Width);
