namespace Vfio.Guard;

/// <summary>How many accesses the guard refused.</summary>
/// <param name="ConfigBits">Bits of config space that a write tried to change and may not.</param>
/// <param name="DmaAccesses">Reads and writes of memory by the device that failed: bus master off, not mapped, or not permitted.</param>
public readonly record struct GuardRefusals(long ConfigBits, long DmaAccesses);
