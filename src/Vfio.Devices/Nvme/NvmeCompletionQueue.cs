using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>A completion queue in the driver's memory; several submission queues may complete to it at once.</summary>
/// <param name="id">Its number.</param>
/// <param name="start">The address of its first entry.</param>
/// <param name="entries">How many it has, at most 4096.</param>
/// <param name="vector">The MSI-X vector that it raises; null for none.</param>
internal sealed class NvmeCompletionQueue(int id, Iova start, int entries, int? vector)
{
    private const int EntryBytes = 16;

    /// <summary>How many entries were posted, modulo twice the queue: the round is odd or even.</summary>
    private int _posted;
    private int _isHeldBack;
    private int _sinceHalf;

    internal int Id => id;

    internal int Entries => entries;

    internal int? Vector => vector;

    /// <summary>How many submission queues complete to it; for admin commands.</summary>
    internal int Users { get; set; }

    /// <summary>Whether it is full: the driver has taken all entries up to <paramref name="head"/>.</summary>
    internal bool IsFull(int head) => (Volatile.Read(ref _posted) + 1) % entries == head;

    /// <summary>Takes the next entry, for a completion that is written now.</summary>
    /// <param name="head">The driver's head: the entries before it are taken.</param>
    /// <param name="address">The address of the entry.</param>
    /// <param name="phase">Its phase tag: 1 in the first round, then 0 and 1 alternately.</param>
    /// <returns>False when the queue is full.</returns>
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

    /// <summary>Counts a completion.</summary>
    /// <returns>True each half of the queue: the driver comes round.</returns>
    internal bool CountToHalf()
    {
        if (2 * Interlocked.Increment(ref _sinceHalf) < entries)
            return false;
        Volatile.Write(ref _sinceHalf, 0);
        return true;
    }

    /// <summary>Whether a submission queue waits for free entries.</summary>
    internal bool IsHeldBack => Volatile.Read(ref _isHeldBack) != 0;

    /// <summary>Records that a submission queue waits for free entries; it checks once more after this.</summary>
    internal void HoldBack() => Interlocked.Exchange(ref _isHeldBack, 1);

    /// <summary>Whether a submission queue waited for free entries since the last call; the driver has freed some.</summary>
    internal bool TakeHeldBack()
    {
        // The head was written before this, and a queue reads it after it has recorded that it waits.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _isHeldBack) != 0 && Interlocked.Exchange(ref _isHeldBack, 0) != 0;
    }

    /// <summary>Saves it.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(start.Value);
        state.Write(entries);
        state.Write(vector ?? -1);
        state.Write(_posted);
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    /// <param name="state">The state, which may be forged.</param>
    /// <param name="id">The queue's number.</param>
    /// <param name="present">The admin queue, which the registers describe; null for another.</param>
    /// <param name="queue">The queue.</param>
    internal static bool TryRestore(ref StateReader state, int id, NvmeCompletionQueue? present, out NvmeCompletionQueue? queue)
    {
        const int MaxEntries = 1024, PageBytes = 4096;
        queue = present;
        if (!state.TryRead(out ulong start) || !state.TryRead(out int entries) || !state.TryRead(out int vector)
            || !state.TryRead(out int posted))
        {
            return false;
        }

        bool isPossible = present is not null
            || (start % PageBytes == 0 && entries is >= 2 and <= MaxEntries && vector is >= -1 and <= NvmeEngine.IoQueues);
        if (!isPossible)
            return false;
        queue ??= new NvmeCompletionQueue(id, new Iova(start), entries, vector < 0 ? null : vector);
        queue._posted = posted;
        return posted >= 0 && posted < 2 * queue.Entries;
    }
}
