using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>The migration of an open device: VFIO_DEVICE_FEATURE_MIGRATION, _MIG_DEVICE_STATE and _MIG_DATA_SIZE.</summary>
/// <remarks>The data are in a file of memory, which the program reads and writes by itself. It has all of a state when it is given to the
/// program, and a state is taken from it when the program ends RESUMING. So PRE_COPY, whose file has more and more in it, is not offered.
/// </remarks>
internal sealed class MigrationCommands
{
    private const int ChunkBytes = 64 << 10;
    private readonly Lock _lock = new();
    private readonly IVfioDevice _device;
    private readonly IMigratableDevice? _migratable;
    private FileDescriptor? _incoming;

    /// <summary>Asks whether the device can.</summary>
    internal MigrationCommands(IVfioDevice device)
    {
        _device = device;
        device.TryGet(out _migratable);
    }

    /// <summary>Whether it can be migrated.</summary>
    internal bool IsAble => _migratable is not null;

    /// <summary>VFIO_DEVICE_FEATURE_MIGRATION.</summary>
    internal long GetFeatures(ICaller caller, ulong data) =>
        caller.Answer(data, new vfio_device_feature_migration { flags = (ulong)(_migratable!.Migration & MigrationFeatures.StopCopy) });

    /// <summary>VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: an estimate, what the device has of memory, for most of a state is that.</summary>
    internal long GetSize(ICaller caller, ulong data)
    {
        ulong bytes = ChunkBytes;
        for (uint i = 0; i < _device.Info.RegionCount; i++)
        {
            RegionInfo region = _device.GetRegion(new RegionIndex(i));
            bytes += region.IsMappable ? region.Length : 0;
        }

        return caller.Answer(data, new vfio_device_feature_mig_data_size { stop_copy_length = bytes });
    }

    /// <summary>VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE.</summary>
    internal long State(ICaller caller, ulong data, bool sets)
    {
        if (!caller.TryRead(data, out vfio_device_feature_mig_state state))
            return Answer.Of(Errno.BadAddress);
        lock (_lock)
        {
            if (sets)
                return Change(caller, data, state);
            state.device_state = (uint)_migratable!.MigrationState;
            state.data_fd = -1;
            return caller.Answer(data, state);
        }
    }

    /// <summary>Ends a migration: the device was reset.</summary>
    internal void AfterReset()
    {
        lock (_lock)
            Forget();
    }

    private long Change(ICaller caller, ulong data, vfio_device_feature_mig_state state)
    {
        MigrationState target = (MigrationState)state.device_state;
        MigrationState before = _migratable!.MigrationState;
        ServedFile? session = null;
        long refusal = 0;
        try
        {
            if (target is not (MigrationState.Stop or MigrationState.Running or MigrationState.StopCopy or MigrationState.Resuming))
                throw new VfioException("change of the migration state", _device.Name, Errno.InvalidArgument);
            if (before == MigrationState.Resuming && target != before)
                TakeState();
            if (target != before)
                _migratable.SetMigrationState(target);
            if (target != before && target is MigrationState.StopCopy or MigrationState.Resuming)
                session = Start(target);
        }
        catch (Exception failure) when (Answer.IsRefusal(failure))
        {
            refusal = Answer.Of(failure);
        }

        state.data_fd = -1;
        if (session is null)
        {
            // The answer is written in either case; the device may be in a state on the way.
            long written = caller.Answer(data, state);
            return written != 0 ? written : refusal;
        }

        int descriptor = caller.Install(session);
        if (descriptor < 0)
        {
            session.Dispose();
            return descriptor;
        }

        state.data_fd = descriptor;
        return caller.Answer(data, state);
    }

    private MigrationData Start(MigrationState target)
    {
        if (target == MigrationState.StopCopy)
            return new MigrationData(Save());
        Forget();
        _incoming = MemoryFile.CreateUnsealed("vfio-migration", 0);
        return new MigrationData(_incoming.Duplicate());
    }

    private FileDescriptor Save()
    {
        List<byte[]> chunks = [];
        ulong length = 0;
        for (bool isOver = false; !isOver;)
        {
            byte[] chunk = new byte[ChunkBytes];
            int count = _migratable!.ReadMigrationData(chunk);
            chunks.Add(chunk[..count]);
            length += (uint)count;
            isOver = count < chunk.Length;
        }

        using SharedMemory memory = SharedMemory.Create("vfio-migration", Math.Max(length, 1));
        ulong at = 0;
        foreach (byte[] chunk in chunks)
        {
            memory.TryWrite(at, chunk);
            at += (uint)chunk.Length;
        }

        return memory.File.Duplicate();
    }

    /// <summary>Gives the device what the program wrote.</summary>
    private void TakeState()
    {
        if (_incoming is null)
            return;
        ulong length = FileIdentity.Of(_incoming).LengthBytes;
        if (length == 0)
            return;
        using SharedMemory memory = SharedMemory.Share(_incoming, 0, length, writable: false);
        byte[] chunk = new byte[ChunkBytes];
        for (ulong at = 0; at < length;)
        {
            Span<byte> piece = chunk.AsSpan(0, (int)Math.Min((ulong)ChunkBytes, length - at));
            if (!memory.TryRead(at, piece))
                throw new VfioException("read of a migration's data", _device.Name, Errno.BadAddress);
            _migratable!.WriteMigrationData(piece);
            at += (uint)piece.Length;
        }

        Forget();
    }

    private void Forget()
    {
        _incoming?.Dispose();
        _incoming = null;
    }
}

/// <summary>The data_fd of a migration: a file of memory.</summary>
/// <param name="content">The file; owned.</param>
internal sealed class MigrationData(FileDescriptor content) : ServedFile
{
    /// <inheritdoc/>
    public override FileDescriptor Content => content;

    /// <inheritdoc/>
    protected override long OnIoctl(ICaller caller, uint request, ulong argument) =>
        Answer.Of((KernelRequest)request == KernelRequest.VFIO_MIG_GET_PRECOPY_INFO ? Errno.InvalidArgument : Errno.NoSuchOperation);

    /// <inheritdoc/>
    protected override void OnClose() => content.Dispose();
}
