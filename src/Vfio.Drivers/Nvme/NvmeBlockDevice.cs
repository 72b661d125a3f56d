using System.Runtime.CompilerServices;

namespace Vfio.Drivers.Nvme;

/// <summary>A namespace as a device of bytes, read and written in whole blocks; made by <see cref="NvmeNamespace.Open"/>.</summary>
/// <remarks>
/// <para>Any number of threads may use it at a time. A call of any length is cut into commands, several of which are in flight at a
/// time; it is not atomic. Data goes through buffers of its own, so any memory may be read into.</para>
/// <para>Offsets and lengths are multiples of <see cref="BlockBytes"/> inside <see cref="Length"/>, else an
/// <see cref="ArgumentOutOfRangeException"/>. A command that fails is a <see cref="VfioException"/> with the nearest errno. When the
/// controller dies (EIO, ENODEV, ETIMEDOUT) all that follows fails with the same: open the device again.</para>
/// </remarks>
public sealed class NvmeBlockDevice : IDisposable
{
    private readonly NvmeOperations _operations;
    private readonly int _commandBytes;
    private bool _disposed;

    internal NvmeBlockDevice(NvmeNamespace target, NvmeBlockDeviceOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.CommandBytes, target.BlockBytes, nameof(options));
        Namespace = target;
        int limit = Math.Min(options.CommandBytes, target.MaxTransferBlocks * target.BlockBytes);
        _commandBytes = limit / target.BlockBytes * target.BlockBytes;
        _operations = new NvmeOperations(target, options, _commandBytes);
    }

    /// <summary>What it is a view of; do not dispose it.</summary>
    public NvmeNamespace Namespace { get; }

    /// <summary>Size in bytes.</summary>
    public long Length => Namespace.Length;

    /// <summary>Bytes of a block.</summary>
    public int BlockBytes => Namespace.BlockBytes;

    /// <summary>Reads bytes; returns when all are there.</summary>
    public void Read(long offset, Span<byte> destination) => Move(NvmeOpcode.Read, offset, destination.Length, destination, default);

    /// <summary>Writes bytes; returns when the controller has all, which <see cref="Flush"/> makes safe from loss of power.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source) => Move(NvmeOpcode.Write, offset, source.Length, default, source);

    /// <summary>Reads bytes; completes when all are there.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled between two commands; part may have been read.</exception>
    public ValueTask ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
        MoveAsync(NvmeOpcode.Read, offset, destination.Length, destination, default, cancellationToken);

    /// <summary>Writes bytes; completes when the controller has all, which <see cref="FlushAsync"/> makes safe
    /// from loss of power.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled between two commands; part may have been written.</exception>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
        MoveAsync(NvmeOpcode.Write, offset, source.Length, default, source, cancellationToken);

    /// <summary>Makes what was written, by calls that have returned, safe from loss of power.</summary>
    public void Flush()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        NvmeOperation operation = _operations.TakeWhenFree();
        try
        {
            _operations.Start(operation, NvmeOpcode.Flush, 0, 0);
            _operations.RingDoorbell();
            _operations.Wait(operation);
            operation.ThrowIfFailed(Namespace.Controller.Name);
        }
        finally
        {
            _operations.Return(operation);
        }
    }

    /// <summary>Makes what was written, by calls that have completed, safe from loss of power.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        NvmeOperation operation = await _operations.TakeAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _operations.Start(operation, NvmeOpcode.Flush, 0, 0);
            _operations.RingDoorbell();
            await _operations.WaitAsync(operation).ConfigureAwait(false);
            operation.ThrowIfFailed(Namespace.Controller.Name);
        }
        finally
        {
            _operations.Return(operation);
        }
    }

    /// <summary>Takes its queues away from the controller. Calls under way end with an <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _operations.Dispose();
    }

    private void Move(byte opcode, long offset, int length, Span<byte> destination, ReadOnlySpan<byte> source)
    {
        CheckRange(offset, length);
        NvmeTransfer transfer = new(_operations, opcode, offset, length, _commandBytes);
        try
        {
            while (!transfer.IsDone)
            {
                while (transfer.HasMore && (transfer.IsIdle ? _operations.TakeWhenFree() : _operations.TryTake()) is { } operation)
                    transfer.Start(operation, source);
                _operations.RingDoorbell();
                _operations.Wait(transfer.First);
                transfer.Finish(destination, Namespace.Controller.Name);
            }
        }
        finally
        {
            // After an error the others are still under way, in buffers that the next call would use.
            while (!transfer.IsIdle)
            {
                _operations.Wait(transfer.First);
                transfer.Return();
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask MoveAsync(
        byte opcode, long offset, int length, Memory<byte> destination, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        CheckRange(offset, length);
        NvmeTransfer transfer = new(_operations, opcode, offset, length, _commandBytes);
        try
        {
            while (!transfer.IsDone)
            {
                cancellationToken.ThrowIfCancellationRequested();
                while (transfer.HasMore
                    && (transfer.IsIdle ? await _operations.TakeAsync(cancellationToken).ConfigureAwait(false) : _operations.TryTake())
                        is { } operation)
                {
                    transfer.Start(operation, source.Span);
                }

                _operations.RingDoorbell();
                await _operations.WaitAsync(transfer.First).ConfigureAwait(false);
                transfer.Finish(destination.Span, Namespace.Controller.Name);
            }
        }
        finally
        {
            while (!transfer.IsIdle)
            {
                await _operations.WaitAsync(transfer.First).ConfigureAwait(false);
                transfer.Return();
            }
        }
    }

    private void CheckRange(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        int mask = BlockBytes - 1;
        if (offset < 0 || offset > Length - length || (offset & mask) != 0 || (length & mask) != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offset), $"{length} bytes at {offset}: {Namespace} has {Length} bytes, in blocks of {BlockBytes}");
        }
    }
}
