using System.Globalization;
using System.Numerics;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Devices.Nvme;

/// <summary>Blocks in a file or a block device; what lies behind the last whole block of a file is not shown.</summary>
internal sealed class FileStorage : NvmeStorage
{
    private const int LargestBlockBytes = 4096;
    private readonly DiskFile _file;
    private bool _isLocked;

    /// <summary>Opens it, and takes it for this process.</summary>
    /// <param name="path">The file, or the block device.</param>
    /// <param name="isReadOnly">Opens it for reading alone, beside other readers.</param>
    /// <param name="isSuccessor">A server that has it may still run, and goes away before this is used: <see cref="TryLock"/> takes it
    /// then.</param>
    /// <exception cref="VfioException">EBUSY: another has it; EINVAL: it is no disk; else why it cannot be opened.</exception>
    internal FileStorage(string path, bool isReadOnly, bool isSuccessor)
    {
        _file = DiskFile.Open(path, isReadOnly);
        try
        {
            int block = _file.BlockBytes;
            if (!BitOperations.IsPow2(block) || block is < 512 or > LargestBlockBytes)
                throw new VfioException("opening as a disk", path, Errno.NotSupported, $"its blocks have {block} bytes");
            BlockShift = BitOperations.Log2((uint)block);
            Length = _file.Length >> BlockShift << BlockShift;
            if (Length == 0)
                throw new VfioException("opening as a disk", path, Errno.InvalidArgument, $"it has less than one block of {block} bytes");
            _isLocked = _file.TryLock(out int? holder);
            if (_isLocked || isSuccessor)
                return;
            string who = holder is { } process ? string.Create(CultureInfo.InvariantCulture, $"process {process}") : "another process";
            throw new VfioException("opening as a disk", path, Errno.Busy, $"{who} has it; end that first, or open both with readonly=1");
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    internal override long Length { get; }

    /// <inheritdoc/>
    internal override int BlockShift { get; }

    /// <inheritdoc/>
    internal override bool IsReadOnly => _file.IsReadOnly;

    /// <inheritdoc/>
    internal override bool TryLock()
    {
        _isLocked = _isLocked || _file.TryLock(out _);
        return _isLocked;
    }

    /// <inheritdoc/>
    internal override bool IsShared => true;

    /// <inheritdoc/>
    internal override bool TryLockShared()
    {
        bool isShared = _file.TryLock(isShared: true, out _);
        _isLocked = _isLocked && IsReadOnly;
        return isShared;
    }

    /// <inheritdoc/>
    internal override Errno Read(long offset, Span<byte> destination) => _file.Read(offset, destination);

    /// <inheritdoc/>
    internal override Errno TryRead(long offset, Span<byte> destination) => _file.TryRead(offset, destination);

    /// <inheritdoc/>
    internal override Errno Write(long offset, ReadOnlySpan<byte> source) => _file.Write(offset, source);

    /// <inheritdoc/>
    internal override Errno Zero(long offset, long length, bool isDiscarded) => _file.Zero(offset, length, isDiscarded);

    /// <inheritdoc/>
    internal override Errno Flush() => _file.Flush();

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();
}
