using System.Text;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>What a user can choose about a drive.</summary>
/// <param name="Names">Its names.</param>
/// <param name="Namespaces">How many namespaces share its blocks, 1 to 128.</param>
/// <param name="BlockBytes">Size of a block: 512, 4096, or 0 for the smallest that the storage has.</param>
internal sealed record NvmeSettings(NvmeNames Names, int Namespaces = 1, int BlockBytes = 0)
{
    /// <summary>Most namespaces.</summary>
    internal const int MaxNamespaces = 128;
}

/// <summary>The NVM subsystem behind the controller: what a reset of the controller leaves.</summary>
internal sealed class NvmeDrive : IDisposable
{
    private const int LargestBlockShift = 12;
    private readonly NvmeSpace[] _spaces;

    /// <summary>Makes it.</summary>
    /// <param name="storage">Its blocks; owned.</param>
    /// <param name="settings">What the user chose.</param>
    /// <param name="clock">The clock of hours, timestamps and Keep Alive.</param>
    /// <exception cref="VfioException">EINVAL: the storage has no such blocks, or is too small for so many namespaces.</exception>
    internal NvmeDrive(NvmeStorage storage, NvmeSettings settings, TimeProvider clock)
    {
        Names = settings.Names;
        Clock = clock;
        Disk = new NvmeDisk(storage);
        Health = new NvmeHealth(clock, NvmeEngine.IoQueues + 1);
        int smallest = storage.BlockShift;
        int shift = settings.BlockBytes == 0 ? smallest : System.Numerics.BitOperations.Log2((uint)settings.BlockBytes);
        if (shift < smallest)
            throw Refuse($"its blocks have {1 << smallest} bytes and cannot be parted into blocks of {settings.BlockBytes}");
        int unit = settings.Namespaces == 1 ? shift : LargestBlockShift;
        long length = (storage.Length / settings.Namespaces) >> unit << unit;
        if (length == 0)
            throw Refuse($"{storage.Length} bytes are too few for {settings.Namespaces} namespaces with blocks of {1 << unit} bytes");
        _spaces = [.. Enumerable.Range(0, settings.Namespaces)
            .Select(index => new NvmeSpace((uint)index + 1, index * length, length, smallest, shift))];
    }

    internal NvmeNames Names { get; }

    internal TimeProvider Clock { get; }

    internal NvmeDisk Disk { get; }

    internal NvmeHealth Health { get; }

    internal NvmeErrorLog Errors { get; } = new();

    internal NvmeSelfTests SelfTests { get; } = new();

    internal NvmeSanitize Sanitize { get; } = new();

    /// <summary>All namespaces, attached or not, by ascending number from 1.</summary>
    internal ReadOnlySpan<NvmeSpace> Spaces => _spaces;

    /// <summary>Finds a namespace by its number, attached or not.</summary>
    internal NvmeSpace? Find(uint id) => id - 1 < (uint)_spaces.Length ? _spaces[id - 1] : null;

    /// <summary>Saves what a restart of the server would lose.</summary>
    internal void Save(StateWriter state)
    {
        WriteText(state, Names.Serial);
        WriteText(state, Names.Subsystem);
        state.Write(Disk.HasFailed);
        state.Write(Disk.Length);
        state.Write(_spaces.Length);
        foreach (NvmeSpace space in _spaces)
            space.Save(state);
        Health.Save(state);
        Errors.Save(state);
        Sanitize.Save(state);
    }

    /// <summary>Restores what <see cref="Save"/> wrote, which may be forged.</summary>
    /// <param name="state">The state.</param>
    /// <param name="hasFailed">Whether a flush has failed: the drive's data may be lost.</param>
    /// <returns>False when it is no state of this drive. It may be restored in part then.</returns>
    internal bool TryRestore(ref StateReader state, out bool hasFailed)
    {
        hasFailed = false;
        if (!IsNext(ref state, Names.Serial) || !IsNext(ref state, Names.Subsystem) || !state.TryRead(out byte failed))
            return false;
        hasFailed = failed != 0;
        if (!state.TryRead(out long length) || length != Disk.Length || !state.TryRead(out int count) || count != _spaces.Length)
            return false;
        foreach (NvmeSpace space in _spaces)
        {
            if (!space.TryRestore(ref state))
                return false;
        }

        return Health.TryRestore(ref state) && Errors.TryRestore(ref state) && Sanitize.TryRestore(ref state, Disk.IsReadOnly);
    }

    /// <inheritdoc/>
    public void Dispose() => Disk.Dispose();

    private static void WriteText(StateWriter state, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        state.Write(bytes.Length);
        state.Write(bytes);
    }

    private static bool IsNext(ref StateReader state, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return state.TryRead(out int length) && length == bytes.Length && state.TryRead(length, out ReadOnlySpan<byte> read)
            && read.SequenceEqual(bytes);
    }

    private static VfioException Refuse(string reason) => new("open", "model:nvme", Errno.InvalidArgument, reason);
}
