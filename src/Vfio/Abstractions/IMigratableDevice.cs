using Vfio.Providers;

namespace Vfio;

/// <summary>Migration: a device whose state can be carried to another one of the same kind. Asked for with <see
/// cref="IVfioDevice.TryGet"/>.</summary>
/// <remarks>
/// <para>VFIO_DEVICE_FEATURE_MIGRATION and VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE of <c>linux/vfio.h</c>. The state is what registers and
/// the device itself hold; mappings and eventfds are the user's own, who makes them anew for the other device.</para>
/// <para>Saving: <see cref="MigrationState.StopCopy"/>, perhaps after <see cref="MigrationState.PreCopy"/>, then
/// <see cref="ReadMigrationData"/> until it gives nothing. Restoring: <see cref="MigrationState.Resuming"/>, the same bytes in the same
/// order to <see cref="WriteMigrationData"/>, then <see cref="MigrationState.Running"/>. <see cref="DeviceState"/> does either.</para>
/// <para>A reset ends it all: the device is then <see cref="MigrationState.Running"/>.</para>
/// </remarks>
public interface IMigratableDevice
{
    /// <summary>What it can do; fixed while it is open. Not none of a feature that <see cref="IVfioDevice.TryGet"/> gave.</summary>
    MigrationFeatures Migration { get; }

    /// <summary>Where it is now.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated.</exception>
    MigrationState MigrationState { get; }

    /// <summary>Brings it to a state, step by step if need be; see <see cref="MigrationPath"/>. Returns when it is there.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated; EINVAL: it has no such state, no way leads there, or what was
    /// written to it is no state of such a device. It may then be anywhere on the way, <see cref="MigrationState.Error"/>
    /// included: ask <see cref="MigrationState"/>.</exception>
    void SetMigrationState(MigrationState target);

    /// <summary>Reads what comes next of the state.</summary>
    /// <returns>How many bytes; fewer than asked for only when there are no more. After that <see cref="MigrationState.PreCopy"/> may
    /// still be followed by <see cref="MigrationState.StopCopy"/> with the rest.</returns>
    /// <exception cref="VfioException">EINVAL: not in a state that has any; ENOTTY: it cannot be migrated.</exception>
    int ReadMigrationData(Span<byte> destination);

    /// <summary>Writes what comes next of a state; pieces need not be those that were read.</summary>
    /// <exception cref="VfioException">EINVAL: not <see cref="MigrationState.Resuming"/>, or not the state of such a device, which then
    /// has to be reset (a driver of the kernel may say that with another errno); ENOTTY: it cannot be migrated.</exception>
    void WriteMigrationData(ReadOnlySpan<byte> source);
}
