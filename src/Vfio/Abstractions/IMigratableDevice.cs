using Vfio.Providers;

namespace Vfio;

/// <summary>Migration: a device whose state can be moved to another one of the same kind. Requested with <see
/// cref="IVfioDevice.TryGet"/>.</summary>
/// <remarks>
/// <para>VFIO_DEVICE_FEATURE_MIGRATION and VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE of <c>linux/vfio.h</c>. The state is that of registers and
/// of the device itself. It has no mappings and eventfds: the user makes these again for the other device.</para>
/// <para>Saving: <see cref="MigrationState.StopCopy"/>, perhaps after <see cref="MigrationState.PreCopy"/>, then
/// <see cref="ReadMigrationData"/> until it returns 0. Restoring: <see cref="MigrationState.Resuming"/>, the same bytes in the same
/// order to <see cref="WriteMigrationData"/>, then <see cref="MigrationState.Running"/>. <see cref="DeviceState"/> does either.</para>
/// <para>A reset ends a migration: the device is then <see cref="MigrationState.Running"/>.</para>
/// </remarks>
public interface IMigratableDevice
{
    /// <summary>Its features; fixed while it is open. Not none for a feature that <see cref="IVfioDevice.TryGet"/> returned.</summary>
    MigrationFeatures Migration { get; }

    /// <summary>The current state.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated.</exception>
    MigrationState MigrationState { get; }

    /// <summary>Changes the state, step by step where necessary; see <see cref="MigrationPath"/>. Returns when the change is
    /// done.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated; EINVAL: it has no such state, no sequence of steps leads there, or
    /// the
    /// data written to it is not valid. The device may then be in any state on the way, <see cref="MigrationState.Error"/>
    /// included: read <see cref="MigrationState"/>.</exception>
    void SetMigrationState(MigrationState target);

    /// <summary>Reads the next bytes of the state.</summary>
    /// <returns>How many bytes; fewer than requested only when there are no more. After that <see cref="MigrationState.PreCopy"/> may
    /// still be followed by <see cref="MigrationState.StopCopy"/> with the rest.</returns>
    /// <exception cref="VfioException">EINVAL: the current state has no data; ENOTTY: it cannot be migrated.</exception>
    int ReadMigrationData(Span<byte> destination);

    /// <summary>Writes the next bytes of a state; the pieces need not be those that were read.</summary>
    /// <exception cref="VfioException">EINVAL: not <see cref="MigrationState.Resuming"/>, or not the state of such a device, which then
    /// has to be reset (a driver of the kernel may use another errno); ENOTTY: it cannot be migrated.</exception>
    void WriteMigrationData(ReadOnlySpan<byte> source);
}
