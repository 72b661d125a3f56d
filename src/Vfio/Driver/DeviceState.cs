using System.Buffers;

namespace Vfio;

/// <summary>Carries the state of a device to another one of the same kind: to a new process, or to another machine.</summary>
/// <remarks>The user of the other device maps its memory and binds its eventfds before the device runs there.</remarks>
public static class DeviceState
{
    /// <summary>The largest state that is taken, in bytes: 1 GiB. A provider that has more to say never ends.</summary>
    public const int MaxBytes = 1 << 30;

    private const int PieceBytes = 64 << 10;

    /// <summary>Stops a device and takes its state. It stays stopped, in <see cref="MigrationState.StopCopy"/>: set it to
    /// <see cref="MigrationState.Running"/> when nobody takes the state over.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated; ENOSPC: its state is longer than <see cref="MaxBytes"/>; else why it
    /// failed.</exception>
    public static byte[] Save(IVfioDevice device)
    {
        IMigratableDevice migratable = Migratable(device);
        migratable.SetMigrationState(MigrationState.StopCopy);
        ArrayBufferWriter<byte> state = new(PieceBytes);
        while (true)
        {
            Span<byte> piece = state.GetSpan(PieceBytes);
            int count = migratable.ReadMigrationData(piece);
            state.Advance(count);
            if (state.WrittenCount > MaxBytes)
                throw new VfioException("saving the state", device.Name, Errno.NoSpace, $"it has more than {MaxBytes} bytes, or no end");
            if (count < piece.Length)
                return state.WrittenSpan.ToArray();
        }
    }

    /// <summary>Gives a device a state. It is stopped then, in <see cref="MigrationState.Stop"/>: set it to
    /// <see cref="MigrationState.Running"/> when memory is mapped and eventfds are bound.</summary>
    /// <exception cref="VfioException">EINVAL: not a state of such a device, which has to be reset now; ENOTTY: it cannot be
    /// migrated.</exception>
    public static void Restore(IVfioDevice device, ReadOnlySpan<byte> state)
    {
        IMigratableDevice migratable = Migratable(device);
        migratable.SetMigrationState(MigrationState.Resuming);
        for (; state.Length > 0; state = state[Math.Min(PieceBytes, state.Length)..])
            migratable.WriteMigrationData(state[..Math.Min(PieceBytes, state.Length)]);
        migratable.SetMigrationState(MigrationState.Stop);
    }

    private static IMigratableDevice Migratable(IVfioDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return device.TryGet(out IMigratableDevice? migratable) && (migratable.Migration & MigrationFeatures.StopCopy) != 0
            ? migratable
            : throw new VfioException("migration", device.Name, Errno.NoSuchOperation, "the device cannot save its state");
    }
}
