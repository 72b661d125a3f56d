namespace Vfio.Kernel.Device;

/// <summary>How much of a device's state can be read before it stops; VFIO_MIG_GET_PRECOPY_INFO of <c>linux/vfio.h</c>.</summary>
/// <remarks>Estimates, which say nothing of what <see cref="MigrationState.StopCopy"/> will give.</remarks>
/// <param name="InitialBytes">What is left of the first part; the device should not be stopped before this is 0.</param>
/// <param name="DirtyBytes">What changed since it was read.</param>
internal readonly record struct PreCopyEstimate(ulong InitialBytes, ulong DirtyBytes);
