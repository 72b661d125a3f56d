namespace Vfio.Guard;

/// <summary>Places of equal registers in a <see cref="RegisterMap{TRegister}"/>: one for each queue, each vector, each entry of a
/// filter.</summary>
/// <param name="Start">Offset of the first, in bytes.</param>
/// <param name="Count">How many there are: 1 to 65536.</param>
/// <param name="Stride">From one to the next, in bytes.</param>
public readonly record struct RegisterSeries(ulong Start, int Count, ulong Stride);
