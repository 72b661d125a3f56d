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

    private readonly object _lock = new();
    private readonly HashSet<NvmeQueueWork> _leftBehind = [];
    private volatile bool _isWaitedFor;
    private volatile bool _hasFailed;
    private long _begun;
    private long _ended;

    internal long Length => storage.Length;

    internal int BlockShift => storage.BlockShift;

    internal bool IsReadOnly => storage.IsReadOnly;

    internal bool MayWait => storage.MayWait;

    /// <summary>Locks the image for this process, if that was deferred.</summary>
    internal bool TryLock() => storage.TryLock();

    internal NvmeOutcome Read(NvmeQueueWork queue, long offset, Span<byte> destination)
    {
        if (!Begin(queue))
            return NvmeOutcome.Kept;
        Errno error = storage.Read(offset, destination);
        End(queue);
        return error == Errno.None ? NvmeOutcome.Success : NvmeOutcome.UnrecoveredRead;
    }

    internal NvmeOutcome Write(NvmeQueueWork queue, long offset, ReadOnlySpan<byte> source)
    {
        if (storage.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        if (!Begin(queue))
            return NvmeOutcome.Kept;
        Errno error = storage.Write(offset, source);
        End(queue);
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

        return _hasFailed ? NvmeOutcome.WriteFault : NvmeOutcome.Success;
    }

    /// <summary>Called when a queue was abandoned: the next access waits for its read or write under way.</summary>
    internal void LeaveBehind(NvmeQueueWork queue)
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
            error = _hasFailed ? Errno.InputOutput : storage.Flush();
        }
        finally
        {
            Monitor.Enter(_lock);
            _hasFailed |= error != Errno.None;
            _ended = _begun;
            Monitor.PulseAll(_lock);
        }
    }

    /// <returns>False when the queue is abandoned.</returns>
    private bool Begin(NvmeQueueWork queue)
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

    private void End(NvmeQueueWork queue)
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
