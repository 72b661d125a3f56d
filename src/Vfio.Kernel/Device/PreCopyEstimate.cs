namespace Vfio.Kernel.Device;

/// <summary>How much of a device's state can be read before it stops: VFIO_MIG_GET_PRECOPY_INFO of <c>linux/vfio.h</c>.</summary>
/// <remarks>Estimates. They do not include the state of <see cref="MigrationState.StopCopy"/>.</remarks>
/// <param name="InitialBytes">Bytes left of the initial part; do not stop the device before this is 0.</param>
/// <param name="DirtyBytes">Bytes that changed since they were read.</param>
internal readonly record struct PreCopyEstimate(ulong InitialBytes, ulong DirtyBytes);
