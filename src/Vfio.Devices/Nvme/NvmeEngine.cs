namespace Vfio.Devices.Nvme;

/// <summary>An enabled controller: its queues and features, from one enable to the next reset.</summary>
/// <remarks>Queues are made and deleted by the thread of the admin queue; doorbells are rung by the thread of an access.</remarks>
internal sealed class NvmeEngine
{
    /// <summary>The one namespace.</summary>
    internal const uint NamespaceId = 1;

    /// <summary>How many queue pairs there are besides the admin queues.</summary>
    internal const int IoQueues = 16;

    private readonly NvmeQueueWork?[] _submissions = new NvmeQueueWork?[IoQueues + 1];
    private readonly NvmeCompletionQueue?[] _completions = new NvmeCompletionQueue?[IoQueues + 1];
    private volatile bool _hasWriteCache = true;
    private volatile bool _isShutDown;

    private NvmeEngine(NvmeFunction function, NvmeDisk disk, int[] doorbells, NvmeCompletionQueue completions, Iova submissions, int entries)
    {
        Function = function;
        Disk = disk;
        Doorbells = doorbells;
        Flusher = new NvmeFlushWork(this);
        _completions[0] = completions;
        Admin = new NvmeAdminWork(this, submissions, entries, completions);
        _submissions[0] = Admin;
    }

    internal NvmeFunction Function { get; }

    internal NvmeDisk Disk { get; }

    /// <summary>Tail of queue n at 2n, head at 2n + 1; the driver writes them meanwhile.</summary>
    internal int[] Doorbells { get; }

    internal NvmeQueueWork Admin { get; }

    internal NvmeFlushWork Flusher { get; }

    /// <summary>Whether writes may be over before they are durable: feature 06h, Volatile Write Cache Enable.</summary>
    internal bool HasWriteCache
    {
        get => _hasWriteCache;
        set => _hasWriteCache = value;
    }

    /// <summary>Whether the driver has announced a shutdown: no commands are fetched.</summary>
    internal bool IsShutDown => _isShutDown;

    /// <summary>Enables a controller.</summary>
    /// <param name="function">The function that it belongs to.</param>
    /// <param name="disk">Its blocks.</param>
    /// <param name="doorbells">The doorbells, all 0.</param>
    /// <param name="configuration">CC.</param>
    /// <param name="attributes">AQA.</param>
    /// <param name="submissions">ASQ.</param>
    /// <param name="completions">ACQ.</param>
    /// <returns>Null when the driver requests what this controller does not have: a fatal status.</returns>
    internal static NvmeEngine? TryEnable(
        NvmeFunction function, NvmeDisk disk, int[] doorbells, uint configuration, uint attributes, Iova submissions, Iova completions)
    {
        uint commandSetPagesAndArbitration = configuration & 0x3ff0;
        int submissionEntries = (int)(attributes & 0xfff) + 1;
        int completionEntries = (int)(attributes >> 16) + 1;
        if (commandSetPagesAndArbitration != 0 || submissionEntries < 2 || completionEntries < 2)
            return null;
        NvmeCompletionQueue queue = new(0, completions, completionEntries, vector: 0) { Users = 1 };
        return new NvmeEngine(function, disk, doorbells, queue, submissions, submissionEntries);
    }

    /// <summary>Has queues read their doorbells.</summary>
    /// <param name="number">The doorbell that was written.</param>
    internal void Ring(int number)
    {
        int id = number / 2;
        if (number % 2 == 0)
            Volatile.Read(ref _submissions[id])?.Wake();
        else if (Volatile.Read(ref _completions[id]) is { } completions && completions.TakeHeldBack())
            WakeAll(completions);
    }

    /// <summary>Called when the driver announces a shutdown, or withdraws it.</summary>
    internal void SetShutDown(bool isShutDown)
    {
        _isShutDown = isShutDown;
        if (isShutDown)
            Flusher.ShutDown();
        else
            WakeAll(null);
    }

    /// <summary>Called after all work was abandoned: the next access waits for the disk accesses under way.</summary>
    internal void LeaveBehind()
    {
        foreach (NvmeQueueWork? queue in _submissions)
        {
            if (queue is not null)
                Disk.LeaveBehind(queue);
        }
    }

    internal NvmeQueueWork? FindSubmission(int id) => id is >= 1 and <= IoQueues ? _submissions[id] : null;

    internal NvmeCompletionQueue? FindCompletion(int id) => id is >= 1 and <= IoQueues ? _completions[id] : null;

    internal void SetSubmission(int id, NvmeQueueWork? queue) => Volatile.Write(ref _submissions[id], queue);

    internal void SetCompletion(int id, NvmeCompletionQueue? queue) => Volatile.Write(ref _completions[id], queue);

    private void WakeAll(NvmeCompletionQueue? completions)
    {
        for (int id = 0; id <= IoQueues; id++)
        {
            if (Volatile.Read(ref _submissions[id]) is { } queue && (completions is null || queue.Completions == completions))
                queue.Wake();
        }
    }
}
