namespace Vfio.Tests.Guard;

/// <summary>Some bits of one dword.</summary>
/// <param name="Offset">The dword's, from the start of the structure: a multiple of 4.</param>
/// <param name="Mask">The bits.</param>
/// <param name="Kind">What they are.</param>
internal readonly record struct BitFact(int Offset, uint Mask, UserBit Kind);
