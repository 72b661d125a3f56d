namespace Vfio.Devices.Nvme;

/// <summary>A completion queue in the driver's memory; several submission queues may complete to it at once.</summary>
/// <param name="id">Which.</param>
/// <param name="start">Where its first entry is.</param>
/// <param name="entries">How many it has, at most 4096.</param>
/// <param name="vector">The MSI-X vector that it raises; null for none.</param>
internal sealed class NvmeCompletionQueue(int id, Iova start, int entries, int? vector)
{
    private const int EntryBytes = 16;

    /// <summary>How many entries were posted, modulo twice the queue: the round is odd or even.</summary>
    private int _posted;
    private int _isHeldBack;

    internal int Id => id;

    internal int Entries => entries;

    internal int? Vector => vector;

    /// <summary>How many submission queues complete to it; for admin commands.</summary>
    internal int Users { get; set; }

    /// <summary>Whether the driver, which has taken all up to <paramref name="head"/>, left no room.</summary>
    internal bool IsFull(int head) => (Volatile.Read(ref _posted) + 1) % entries == head;

    /// <summary>Takes the next entry, for a completion that is written now.</summary>
    /// <param name="head">Up to where the driver has taken them.</param>
    /// <param name="address">Where the entry is.</param>
    /// <param name="phase">Its phase tag: 1 in the first round, then 0, by turns.</param>
    /// <returns>False when there is no room.</returns>
    internal bool TryTake(int head, out Iova address, out int phase)
    {
        int before = Volatile.Read(ref _posted);
        while (true)
        {
            int tail = before % entries;
            address = start + ((ulong)tail * EntryBytes);
            phase = before < entries ? 1 : 0;
            if ((tail + 1) % entries == head)
                return false;
            int found = Interlocked.CompareExchange(ref _posted, (before + 1) % (2 * entries), before);
            if (found == before)
                return true;
            before = found;
        }
    }

    /// <summary>Says that a submission queue waits for room; it looks once more after this.</summary>
    internal void HoldBack() => Interlocked.Exchange(ref _isHeldBack, 1);

    /// <summary>Whether a submission queue waited for room since the last time; the driver has made some.</summary>
    internal bool TakeHeldBack()
    {
        // The head was written before this, and a queue looks at it after it has said that it waits.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _isHeldBack) != 0 && Interlocked.Exchange(ref _isHeldBack, 0) != 0;
    }
}
