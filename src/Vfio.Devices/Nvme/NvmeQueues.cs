namespace Vfio.Devices.Nvme;

/// <summary>A submission queue in the driver's memory.</summary>
/// <param name="start">Where its first entry is.</param>
/// <param name="entries">How many it has.</param>
/// <param name="completions">Where its completions go.</param>
internal sealed class NvmeSubmissionQueue(Iova start, int entries, NvmeCompletionQueue completions)
{
    private const int EntryBytes = 64;

    internal NvmeCompletionQueue Completions => completions;

    internal int Entries => entries;

    /// <summary>The entry to fetch next.</summary>
    internal int Head { get; private set; }

    internal Iova HeadAddress => start + ((ulong)Head * EntryBytes);

    internal void Advance() => Head = (Head + 1) % entries;
}

/// <summary>A completion queue in the driver's memory.</summary>
/// <param name="id">Which.</param>
/// <param name="start">Where its first entry is.</param>
/// <param name="entries">How many it has.</param>
/// <param name="vector">The MSI-X vector that it raises; null for none.</param>
internal sealed class NvmeCompletionQueue(int id, Iova start, int entries, int? vector)
{
    private const int EntryBytes = 16;
    private int _tail;

    internal int Id => id;

    internal int Entries => entries;

    internal int? Vector => vector;

    /// <summary>How many submission queues complete to it.</summary>
    internal int Users { get; set; }

    /// <summary>Whether something was posted that was not interrupted for yet.</summary>
    internal bool IsNew { get; set; }

    internal Iova TailAddress => start + ((ulong)_tail * EntryBytes);

    /// <summary>The phase tag of the entry to post next: 1 in the first round, then 0, by turns.</summary>
    internal int Phase { get; private set; } = 1;

    /// <summary>Whether the driver, which has taken all up to <paramref name="head"/>, left no room.</summary>
    internal bool IsFull(int head) => (_tail + 1) % entries == head;

    internal void Advance()
    {
        IsNew = true;
        _tail = (_tail + 1) % entries;
        if (_tail == 0)
            Phase ^= 1;
    }
}
