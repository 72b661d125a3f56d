namespace Vfio;

/// <summary>Which states a migratable device has beside <see cref="MigrationState.Running"/> and <see cref="MigrationState.Error"/>;
/// VFIO_MIGRATION_* of <c>linux/vfio.h</c>.</summary>
[Flags]
public enum MigrationFeatures : ulong
{
    /// <summary>It cannot be migrated.</summary>
    None = 0,

    /// <summary><see cref="MigrationState.Stop"/>, <see cref="MigrationState.StopCopy"/> and <see cref="MigrationState.Resuming"/>: every
    /// migratable device has them.</summary>
    StopCopy = 1,

    /// <summary>The states in which it does not access other devices (P2P).</summary>
    PeerToPeer = 2,

    /// <summary><see cref="MigrationState.PreCopy"/>.</summary>
    PreCopy = 4,
}
