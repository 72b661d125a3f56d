namespace Vfio.Guard.Hardware;

/// <summary>A dword of config space that a user may access although no table describes it.</summary>
/// <param name="Offset">A multiple of 4.</param>
/// <param name="ReadBits">The bits that may be read.</param>
/// <param name="WriteBits">The bits that may be written; all of them may be read.</param>
internal readonly record struct ConfigPermit(int Offset, uint ReadBits, uint WriteBits);

/// <summary>What a permitted register held before its user wrote to it.</summary>
/// <param name="Offset">A multiple of <paramref name="Width"/>.</param>
/// <param name="Width">1, 2 or 4 bytes.</param>
/// <param name="Mask">The permitted bits.</param>
/// <param name="Value">Their value; 0 elsewhere.</param>
internal readonly record struct OwnerValue(int Offset, int Width, uint Mask, uint Value);
