using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>The blocks as the queues use them: orders accesses around a reset, and remembers a failed flush.</summary>
/// <remarks>
/// <para>A reset does not wait for a system call that is under way. So an earlier write may still be in the kernel when the next
/// driver reads or writes: the queues wait for it here, not the reset. That, and one flush at a time, also bounds how
/// many threads repeated resets leave behind.</para>
/// <para>Linux reports data that it could not write once, by the next fsync(2), and drops it: the fsync after that succeeds. A flush
/// that failed here fails until the image is opened again.</para>
/// </remarks>
internal sealed class NvmeDisk(NvmeStorage storage) : IDisposable
{
    /// <summary>How often a queue that waits checks whether it is abandoned.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(5);

    /// <summary>Most bytes that one call makes zeros; between two, a reset or a stop takes effect.</summary>
    private const long LargestPiece = 256 << 20;

    private static readonly byte[] Zeros = new byte[1 << 20];

    private readonly object _lock = new();
    private readonly HashSet<NvmeDiskWork> _leftBehind = [];
    private volatile bool _isWaitedFor;
    private volatile bool _hasFailed;
    private volatile bool _hasFailedBefore;
    private volatile NvmeDiskWork? _fused;
    private long _fusedStart;
    private long _fusedEnd;
    private volatile int _generation;
    private long _begun;
    private long _ended;

    internal long Length => storage.Length;

    internal int BlockShift => storage.BlockShift;

    internal bool IsReadOnly => storage.IsReadOnly;

    internal bool MayWait => storage.MayWait;

    /// <summary>Locks the image for this process, if that was deferred.</summary>
    internal bool TryLock() => storage.TryLock();

    /// <summary>Whether a flush has failed, so that all fail.</summary>
    internal bool HasFailed => _hasFailed || _hasFailedBefore;

    /// <summary>Has all flushes of this user fail: one has failed where the drive was before, as the state says that the user brought. The
    /// next user does not have to believe it.</summary>
    internal bool HasFailedBefore
    {
        set => _hasFailedBefore = value;
    }

    /// <summary>How often the disk was formatted or sanitized. A write has no effect when that happened after its command was
    /// checked.</summary>
    internal int Generation => _generation;

    /// <summary>Has writes of commands that were checked before have no effect; those that have begun are seen by
    /// <see cref="NvmeDiskWork.IsWriting"/>.</summary>
    internal int Advance() => Interlocked.Increment(ref _generation);

    /// <summary>As <see cref="NvmeStorage.TryLockShared"/>.</summary>
    internal bool TryLockShared() => storage.TryLockShared();

    /// <summary>As <see cref="NvmeStorage.IsShared"/>.</summary>
    internal bool IsShared => storage.IsShared;

    internal NvmeOutcome Read(NvmeDiskWork queue, long offset, Span<byte> destination)
    {
        if (!Begin(queue))
            return NvmeOutcome.Kept;
        Errno error = storage.Read(offset, destination);
        End(queue);
        return error == Errno.None ? NvmeOutcome.Success : NvmeOutcome.UnrecoveredRead;
    }

    /// <summary>Reads what takes no time.</summary>
    /// <returns>Null when the read would have to wait for the medium, or for the end of an earlier controller.</returns>
    internal NvmeOutcome? TryRead(NvmeDiskWork queue, long offset, Span<byte> destination)
    {
        if (_isWaitedFor || !Begin(queue))
            return null;
        Errno error = storage.TryRead(offset, destination);
        End(queue);
        return error == Errno.None ? NvmeOutcome.Success : error == Errno.TryAgain ? null : NvmeOutcome.UnrecoveredRead;
    }

    /// <summary>Reads for nobody: a self-test.</summary>
    internal Errno Test(long offset, Span<byte> destination) => storage.Read(offset, destination);

    /// <summary>Makes bytes zeros, by pieces.</summary>
    /// <returns><see cref="NvmeOutcome.Kept"/> when it was abandoned, or has to return, before all were.</returns>
    internal NvmeOutcome Zero(NvmeDiskWork queue, long offset, long length, bool isDiscarded) =>
        Zero(queue, offset, length, isDiscarded, isHint: false);

    /// <summary>Gives the place of bytes back, which are zeros then; a storage that cannot do so leaves them as they are.</summary>
    /// <returns>As <see cref="Zero(NvmeDiskWork, long, long, bool)"/>.</returns>
    internal NvmeOutcome Deallocate(NvmeDiskWork queue, long offset, long length) =>
        Zero(queue, offset, length, isDiscarded: true, isHint: true);

    private NvmeOutcome Zero(NvmeDiskWork queue, long offset, long length, bool isDiscarded, bool isHint)
    {
        if (storage.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        while (length > 0)
        {
            if (queue.ShouldReturn)
                return NvmeOutcome.Kept;
            long count = Math.Min(length, LargestPiece);
            NvmeOutcome begun = BeginWrite(queue, offset, count);
            if (begun != NvmeOutcome.Success)
                return begun;
            Errno error = storage.Zero(offset, count, isDiscarded);
            bool isUnsupported = error == Errno.NotSupported;
            if (isUnsupported && !isHint)
            {
                // A file system without holes.
                count = Math.Min(count, Zeros.Length);
                error = storage.Write(offset, Zeros.AsSpan(0, (int)count));
            }

            EndWrite(queue);
            if (isUnsupported && isHint)
                return NvmeOutcome.Success;
            if (error != Errno.None)
                return NvmeOutcome.WriteFault;
            offset += count;
            length -= count;
        }

        return NvmeOutcome.Success;
    }

    /// <summary>Begins a compare and write that nothing comes between: writes of the same bytes wait for its end, and it for those under
    /// way. One at a time.</summary>
    /// <param name="queue">Whose commands these are.</param>
    /// <param name="others">All queues.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">How many.</param>
    /// <returns>False when the queue is abandoned.</returns>
    internal bool BeginFused(NvmeDiskWork queue, ReadOnlySpan<NvmeQueueWork?> others, long offset, long length)
    {
        lock (_lock)
        {
            while (_fused is not null && !queue.IsAbandoned)
                Monitor.Wait(_lock, LookEvery);
            if (queue.IsAbandoned)
                return false;
            (_fusedStart, _fusedEnd) = (offset, offset + length);
            _fused = queue;
        }

        // Either a write that begins sees this, or this sees the write.
        Interlocked.MemoryBarrier();
        SpinWait spin = default;
        foreach (NvmeQueueWork? other in others)
        {
            while (other is not null && other != queue && other.IsWriting(offset, offset + length))
            {
                if (queue.IsAbandoned)
                {
                    EndFused();
                    return false;
                }

                spin.SpinOnce();
            }
        }

        return true;
    }

    /// <summary>Ends what <see cref="BeginFused"/> began.</summary>
    internal void EndFused()
    {
        lock (_lock)
        {
            _fused = null;
            Monitor.PulseAll(_lock);
        }
    }

    internal NvmeOutcome Write(NvmeDiskWork queue, long offset, ReadOnlySpan<byte> source)
    {
        if (storage.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        NvmeOutcome begun = BeginWrite(queue, offset, source.Length);
        if (begun != NvmeOutcome.Success)
            return begun;
        Errno error = storage.Write(offset, source);
        EndWrite(queue);
        return error == Errno.None ? NvmeOutcome.Success : NvmeOutcome.WriteFault;
    }

    /// <summary>Makes durable what calls that have returned have written.</summary>
    /// <remarks>One at a time, since the kernel reports a failure to only one of several callers; a caller that comes meanwhile shares the
    /// next flush.</remarks>
    /// <param name="work">The caller.</param>
    internal NvmeOutcome Flush(DeviceWork work)
    {
        if (!storage.MayWait || storage.IsReadOnly)
            return NvmeOutcome.Success;
        lock (_lock)
        {
            long wanted = _begun + 1;
            while (_ended < wanted)
            {
                if (work.IsAbandoned)
                    return NvmeOutcome.Kept;
                if (_begun > _ended)
                    Monitor.Wait(_lock, LookEvery);
                else
                    FlushNext();
            }
        }

        return HasFailed ? NvmeOutcome.WriteFault.ForGood : NvmeOutcome.Success;
    }

    /// <summary>Called when a queue was abandoned: the next access waits for its read or write under way.</summary>
    internal void LeaveBehind(NvmeDiskWork queue)
    {
        lock (_lock)
        {
            if (!queue.IsAtDisk)
                return;
            _leftBehind.Add(queue);
            _isWaitedFor = true;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => storage.Dispose();

    /// <summary>Flushes without the lock; called with it.</summary>
    private void FlushNext()
    {
        _begun++;
        Monitor.Exit(_lock);
        Errno error = Errno.None;
        try
        {
            if (!HasFailed)
                error = storage.Flush();
        }
        finally
        {
            Monitor.Enter(_lock);
            _hasFailed |= error != Errno.None;
            _ended = _begun;
            Monitor.PulseAll(_lock);
        }
    }

    /// <returns><see cref="NvmeOutcome.Kept"/> when the queue is abandoned, <see cref="NvmeOutcome.Stale"/> when its command has to be
    /// checked again.</returns>
    private NvmeOutcome BeginWrite(NvmeDiskWork queue, long offset, long length)
    {
        while (true)
        {
            if (!Begin(queue))
                return NvmeOutcome.Kept;
            queue.MarkWriting(offset, offset + length);
            if (queue.Generation != _generation)
            {
                EndWrite(queue);
                return NvmeOutcome.Stale;
            }

            if (_fused is not { } fused || fused == queue || !IsInFused(offset, length))
                return NvmeOutcome.Success;
            EndWrite(queue);
            lock (_lock)
            {
                while (_fused is not null && !queue.IsAbandoned)
                    Monitor.Wait(_lock, LookEvery);
            }

            if (queue.IsAbandoned)
                return NvmeOutcome.Kept;
        }
    }

    private void EndWrite(NvmeDiskWork queue)
    {
        queue.MarkWritten();
        End(queue);
    }

    private bool IsInFused(long offset, long length)
    {
        lock (_lock)
            return offset < _fusedEnd && _fusedStart < offset + length;
    }

    /// <returns>False when the queue is abandoned.</returns>
    private bool Begin(NvmeDiskWork queue)
    {
        if (!storage.MayWait)
            return true;
        while (true)
        {
            // A full barrier: either the thread that abandons the queue sees that it is here, or the queue sees that it is abandoned.
            queue.MarkAtDisk();
            if (!queue.IsAbandoned && !_isWaitedFor)
                return true;
            End(queue);
            lock (_lock)
            {
                while (_leftBehind.Count > 0 && !queue.IsAbandoned)
                    Monitor.Wait(_lock, LookEvery);
            }

            if (queue.IsAbandoned)
                return false;
        }
    }

    private void End(NvmeDiskWork queue)
    {
        if (!storage.MayWait)
            return;
        queue.MarkAway();
        if (!queue.IsAbandoned)
            return;
        lock (_lock)
        {
            _leftBehind.Remove(queue);
            _isWaitedFor = _leftBehind.Count > 0;
            Monitor.PulseAll(_lock);
        }
    }
}
