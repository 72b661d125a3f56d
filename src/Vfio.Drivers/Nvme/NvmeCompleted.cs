namespace Vfio.Drivers.Nvme;

/// <summary>A command that is over.</summary>
/// <param name="Tag">What it was submitted with.</param>
/// <param name="Status">What became of it.</param>
public readonly record struct NvmeCompleted(ulong Tag, NvmeStatus Status);
