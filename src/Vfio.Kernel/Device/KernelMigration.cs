using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Kernel.Device;

/// <summary>The migration of a device: its state, and the descriptor of the data during a transfer.</summary>
/// <remarks>Version 2 of the kernel's protocol, <c>enum vfio_device_mig_state</c> of <c>linux/vfio.h</c>. Any thread may call.</remarks>
internal sealed class KernelMigration : IDisposable
{
    private readonly DeviceFile _file;
    private readonly Lazy<MigrationFeatures> _features;
    private readonly Lock _lock = new();
    private MigrationFile? _data;
    private bool _isSaving;

    internal KernelMigration(DeviceFile file)
    {
        _file = file;
        _features = new Lazy<MigrationFeatures>(AskFeatures);
    }

    /// <summary>The device's migration features; none when its driver does not support migration.</summary>
    internal MigrationFeatures Features => _features.Value;

    /// <summary>The device's present state.</summary>
    internal MigrationState State
    {
        get
        {
            Need("the state of migration");
            return AskState();
        }
    }

    /// <summary>Changes its state.</summary>
    internal void SetState(MigrationState target)
    {
        Need($"change to {target}");
        lock (_lock)
        {
            try
            {
                FileDescriptor? started = _file.SetMigrationState((uint)target);
                EndTransferUnlessIn(target);
                if (started is not null)
                    Begin(started, isSaving: target != MigrationState.Resuming);
            }
            catch (VfioException refusal)
            {
                throw Explain(refusal, target);
            }
        }
    }

    /// <summary>Reads the next bytes of the device's state.</summary>
    /// <returns>Bytes read; fewer than requested when there are no more for now.</returns>
    internal int Read(Span<byte> destination)
    {
        const string Operation = "read of its state";
        Need(Operation);
        lock (_lock)
        {
            if (_data is null || !_isSaving)
                throw NoTransfer(Operation, "its state can be read in PreCopy and StopCopy");
            int done = 0;
            while (done < destination.Length)
            {
                int count = _data.Read(destination[done..]);
                if (count < 0)
                    throw VfioException.FromLastError(Operation, _file.Name);
                if (count == 0)
                    break;
                done += count;
            }

            return done;
        }
    }

    /// <summary>Writes the next bytes of a state.</summary>
    internal void Write(ReadOnlySpan<byte> source)
    {
        const string Operation = "write of a state";
        Need(Operation);
        lock (_lock)
        {
            if (_data is null || _isSaving)
                throw NoTransfer(Operation, "a state can be written in Resuming");
            while (source.Length > 0)
            {
                int count = _data.Write(source);
                if (count <= 0)
                    throw VfioException.FromLastError(Operation, _file.Name, "the device refused this state; reset it");
                source = source[count..];
            }
        }
    }

    /// <summary>VFIO_DEVICE_FEATURE_MIG_DATA_SIZE.</summary>
    internal ulong EstimateDataBytes()
    {
        vfio_device_feature_mig_data_size size = default;
        _file.Feature(DeviceFeatureCalls.GetMigrationDataSize, Blittable.AsBytes(ref size));
        return size.stop_copy_length;
    }

    /// <summary>VFIO_MIG_GET_PRECOPY_INFO.</summary>
    internal PreCopyEstimate EstimatePreCopy()
    {
        const string Operation = "VFIO_MIG_GET_PRECOPY_INFO";
        Need(Operation);
        lock (_lock)
        {
            if (_data is null || !_isSaving)
                throw NoTransfer(Operation, "there is such an estimate in PreCopy");
            vfio_precopy_info info = _data.GetPreCopyInfo();
            return new PreCopyEstimate(info.initial_bytes, info.dirty_bytes);
        }
    }

    /// <summary>Runs an action that resets the device, which ends a transfer.</summary>
    internal void Reset(Action reset)
    {
        lock (_lock)
        {
            reset();
            EndTransferUnlessIn(MigrationState.Running);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
            EndTransferUnlessIn(MigrationState.Running);
    }

    private void Begin(FileDescriptor data, bool isSaving)
    {
        _data?.Dispose();
        _data = new MigrationFile(data, _file.Name);
        _isSaving = isSaving;
    }

    /// <summary>Closes the descriptor of a finished transfer. The states that save share one.</summary>
    private void EndTransferUnlessIn(MigrationState state)
    {
        bool goesOn = _isSaving
            ? state is MigrationState.PreCopy or MigrationState.PreCopyPeerToPeer or MigrationState.StopCopy
            : state == MigrationState.Resuming;
        if (goesOn)
            return;
        _data?.Dispose();
        _data = null;
    }

    /// <summary>Why a change failed, with the state that the device is in: the old one, or one on the way.</summary>
    private VfioException Explain(VfioException refusal, MigrationState target)
    {
        string hint;
        try
        {
            MigrationState state = AskState();
            EndTransferUnlessIn(state);
            hint = state switch
            {
                MigrationState.Error => $"it is in {state} now; reset it",
                MigrationState.Resuming => $"it is in {state} now, which only a complete state or a reset ends",
                _ => $"it is in {state} now",
            };
        }
        catch (VfioException)
        {
            EndTransferUnlessIn(MigrationState.Error);
            hint = "its state cannot be read any more; reset it";
        }

        return new VfioException($"change to {target}", _file.Name, refusal.Errno, hint);
    }

    private MigrationState AskState()
    {
        vfio_device_feature_mig_state state = default;
        _file.Feature(DeviceFeatureCalls.GetMigrationState, Blittable.AsBytes(ref state));
        return (MigrationState)state.device_state;
    }

    private MigrationFeatures AskFeatures()
    {
        vfio_device_feature_migration migration = default;
        if (!_file.HasFeature(DeviceFeatureCalls.GetMigration))
            return MigrationFeatures.None;
        _file.Feature(DeviceFeatureCalls.GetMigration, Blittable.AsBytes(ref migration));
        return (MigrationFeatures)migration.flags;
    }

    private void Need(string operation)
    {
        if (Features == MigrationFeatures.None)
            throw new VfioException(operation, _file.Name, Errno.NoSuchOperation, "its driver in the kernel cannot migrate it");
    }

    private VfioException NoTransfer(string operation, string hint) => new(operation, _file.Name, Errno.InvalidArgument, hint);
}
