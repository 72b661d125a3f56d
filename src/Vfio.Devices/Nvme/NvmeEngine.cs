using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>An enabled controller: its queues and features, from one enable to the next reset.</summary>
/// <remarks>Queues are made and deleted by the thread of the admin queue; doorbells are rung by the thread of an access.</remarks>
internal sealed class NvmeEngine
{
    /// <summary>How many queue pairs there are besides the admin queues.</summary>
    internal const int IoQueues = 16;

    /// <summary>Most entries of a queue: MQES + 1 for I/O queues, and what AQA holds for the admin queues.</summary>
    private const int MaxEntries = 4096;

    private const int PageBytes = 4096;

    /// <summary>Most reads that wait for the medium beside the queues' own threads.</summary>
    private const int MaxTransfers = 16;

    /// <summary>Most commands that a drive which moves has fetched: what waits for the medium, and what moved before it was done.</summary>
    private const int MaxWaiting = 1024;

    /// <summary>CNTLID: the only controller of its subsystem.</summary>
    internal const ushort ControllerId = 0;

    private readonly NvmeQueueWork?[] _submissions = new NvmeQueueWork?[IoQueues + 1];
    private readonly NvmeCompletionQueue?[] _completions = new NvmeCompletionQueue?[IoQueues + 1];
    private readonly NvmeTransferWork?[] _transfers = new NvmeTransferWork?[MaxTransfers];
    private readonly Lock _transferLock = new();
    private volatile bool _hasWriteCache = true;
    private volatile bool _isShutDown;
    private volatile bool _hasFailed;
    private volatile NvmeShadow? _shadow;
    private volatile int _formatting;
    private readonly Lock _shutdownLock = new();
    private int _shutdowns;

    private NvmeEngine(NvmeFunction function, NvmeDrive drive, int[] doorbells, NvmeCompletionQueue completions, Iova submissions, int entries)
    {
        Function = function;
        Drive = drive;
        Doorbells = doorbells;
        Long = new NvmeLongWork(this);
        KeepAlive = new NvmeKeepAlive(drive.Clock, Fail);
        Features = new NvmeFeatures(this);
        _completions[0] = completions;
        Admin = new NvmeAdminWork(this, submissions, entries, completions);
        _submissions[0] = Admin;
        if (drive.Sanitize.IsRunning)
            Long.Sanitize();
    }

    internal NvmeFunction Function { get; }

    internal NvmeDrive Drive { get; }

    /// <summary>Tail of queue n at 2n, head at 2n + 1; the driver writes them meanwhile.</summary>
    internal int[] Doorbells { get; }

    internal NvmeQueueWork Admin { get; }

    internal NvmeLongWork Long { get; }

    internal NvmeFeatures Features { get; }

    internal NvmeKeepAlive KeepAlive { get; }

    internal NvmeEvents Events { get; } = new();

    internal NvmeChanges Changed { get; } = new();

    /// <summary>Whether I/O queues were made: the numbers of queues are settled then.</summary>
    internal bool HasQueues => Array.FindIndex(_completions, 1, queue => queue is not null) >= 0;

    /// <summary>Doorbells in memory; null where the driver writes registers alone.</summary>
    internal NvmeShadow? Shadow => _shadow;

    /// <summary>Whether writes may be over before they are durable: feature 06h, Volatile Write Cache Enable.</summary>
    internal bool HasWriteCache
    {
        get => _hasWriteCache;
        set => _hasWriteCache = value;
    }

    /// <summary>The namespace that is being formatted: its number, all ones for each, or 0.</summary>
    internal uint Formatting
    {
        get => (uint)_formatting;
        set => _formatting = (int)value;
    }

    /// <summary>Whether the driver has announced a shutdown.</summary>
    internal bool IsShutDown => _isShutDown;

    /// <summary>Whether no commands are fetched: after a shutdown, or with a fatal status.</summary>
    internal bool IsStopped => _isShutDown || _hasFailed;

    /// <summary>Enables a controller.</summary>
    /// <param name="function">The function that it belongs to.</param>
    /// <param name="drive">What is behind it.</param>
    /// <param name="doorbells">The doorbells, all 0.</param>
    /// <param name="configuration">CC.</param>
    /// <param name="attributes">AQA.</param>
    /// <param name="submissions">ASQ.</param>
    /// <param name="completions">ACQ.</param>
    /// <returns>Null when the driver requests what this controller does not have: a fatal status.</returns>
    internal static NvmeEngine? TryEnable(
        NvmeFunction function, NvmeDrive drive, int[] doorbells, uint configuration, uint attributes, Iova submissions, Iova completions)
    {
        const uint NvmCommandSet = 0, AllCommandSets = 6;
        uint commandSet = configuration >> 4 & 7;
        uint pagesAndArbitration = configuration & 0x3f80;
        int submissionEntries = (int)(attributes & 0xfff) + 1;
        int completionEntries = (int)(attributes >> 16) + 1;
        if (commandSet is not (NvmCommandSet or AllCommandSets) || pagesAndArbitration != 0 || submissionEntries < 2 || completionEntries < 2)
            return null;
        NvmeCompletionQueue queue = new(0, completions, completionEntries, vector: 0) { Users = 1 };
        return new NvmeEngine(function, drive, doorbells, queue, submissions, submissionEntries);
    }

    /// <summary>Has queues read their doorbells.</summary>
    /// <param name="number">The doorbell that was written.</param>
    /// <param name="value">What was written: of no effect when the queue is not there or has no such entry.</param>
    internal void Ring(int number, int value)
    {
        const int InvalidRegister = 0, InvalidValue = 1, ErrorLog = 1;
        int id = number / 2;
        NvmeQueueWork? submissions = number % 2 == 0 && id <= IoQueues ? Volatile.Read(ref _submissions[id]) : null;
        NvmeCompletionQueue? completions = number % 2 != 0 && id <= IoQueues ? Volatile.Read(ref _completions[id]) : null;
        int entries = submissions?.Entries ?? completions?.Entries ?? 0;
        if (value >= entries)
        {
            Raise(NvmeEvents.Error, entries == 0 ? InvalidRegister : InvalidValue, ErrorLog);
            return;
        }

        // With shadow doorbells the value is in memory, and this only says that it has moved.
        if (id == 0 || _shadow is null)
            Volatile.Write(ref Doorbells[number], value);
        if (submissions is not null)
            submissions.Wake();
        else if (completions!.TakeHeldBack())
            WakeAll(completions);
    }

    /// <summary>Takes doorbells from memory from now on, those of queues that are there included.</summary>
    /// <returns>False when the memory cannot be reached.</returns>
    internal bool TryShadow(IPciSlot bus, NvmeShadow shadow)
    {
        for (int number = 2; number < Doorbells.Length; number++)
        {
            if (!shadow.TryStart(bus, number, Volatile.Read(ref Doorbells[number])))
                return false;
        }

        _shadow = shadow;
        WakeAll(null);
        return true;
    }

    /// <summary>Reads from memory how far the driver has taken completions, when it seems that there is no room.</summary>
    internal void UpdateHead(IPciSlot bus, NvmeCompletionQueue completions)
    {
        ref int head = ref Doorbells[(2 * completions.Id) + 1];
        if (completions.Id > 0 && _shadow is { } shadow && completions.IsFull(Volatile.Read(ref head))
            && shadow.TryRead(bus, (2 * completions.Id) + 1, out int value) && value < completions.Entries)
        {
            Volatile.Write(ref head, value);
        }
    }

    /// <summary>As <see cref="UpdateHead"/>; asks for the register to be written when there is room.</summary>
    internal void AskForHead(IPciSlot bus, NvmeCompletionQueue completions)
    {
        int number = (2 * completions.Id) + 1;
        UpdateHead(bus, completions);
        int head = Volatile.Read(ref Doorbells[number]);
        if (completions.Id == 0 || _shadow is not { } shadow || !completions.IsFull(head) || !shadow.TryAsk(bus, number, head))
            return;
        Interlocked.MemoryBarrier();
        UpdateHead(bus, completions);
    }

    /// <summary>Called for each completion: keeps the register of the head from being written when nobody waits for it.</summary>
    internal void NotePosted(IPciSlot bus, NvmeCompletionQueue completions)
    {
        int number = (2 * completions.Id) + 1;
        if (completions.Id == 0 || _shadow is not { } shadow || !completions.CountToHalf() || !shadow.TryRead(bus, number, out int head)
            || !shadow.TryAsk(bus, number, (head - 1) & 0xffff))
        {
            return;
        }

        // A queue that found no room in between has asked already, in vain.
        Interlocked.MemoryBarrier();
        if (!completions.IsHeldBack)
            return;
        AskForHead(bus, completions);
        if (!completions.IsFull(Volatile.Read(ref Doorbells[number])) && completions.TakeHeldBack())
            WakeAll(completions);
    }

    /// <summary>Has a read done by another thread.</summary>
    /// <returns>False when all are busy.</returns>
    internal bool TryTransfer(NvmeQueueWork queue, in NvmeCommand command, long offset, int count)
    {
        lock (_transferLock)
        {
            foreach (ref NvmeTransferWork? transfer in _transfers.AsSpan())
            {
                transfer ??= new NvmeTransferWork(this);
                if (transfer.TryBegin(queue, command, offset, count))
                    return true;
            }

            return false;
        }
    }

    /// <summary>Abandons what other threads do for a queue that is deleted.</summary>
    /// <returns>The commands that were under way.</returns>
    internal List<ushort> AbandonTransfers(NvmeQueueWork queue)
    {
        List<ushort> commands = [];
        lock (_transferLock)
        {
            foreach (ref NvmeTransferWork? transfer in _transfers.AsSpan())
            {
                if (transfer?.Queue != queue)
                    continue;
                transfer.Abandon();
                if (transfer.Queue == queue)
                    commands.Add(transfer.Command.Id);
                Drive.Disk.LeaveBehind(transfer);
                transfer = null;
            }
        }

        return commands;
    }

    /// <summary>Reports an event to the driver.</summary>
    /// <param name="type">A type of <see cref="NvmeEvents"/>.</param>
    /// <param name="information">Which event.</param>
    /// <param name="page">The log page about it.</param>
    internal void Raise(int type, int information, int page)
    {
        if (Events.Raise(type, information, page))
            Admin.Wake();
    }

    /// <summary>Stops for good: the driver's queues cannot be reached, or it does not keep the controller alive.</summary>
    internal void Fail()
    {
        _hasFailed = true;
        Function.SetFatal(this);
    }

    /// <summary>How many shutdowns the driver has announced.</summary>
    internal int Shutdowns => Volatile.Read(ref _shutdowns);

    /// <summary>Whether a queue is in the middle of commands.</summary>
    internal bool IsAnyBusy => Array.Exists(_submissions, queue => queue is { IsBusy: true });

    /// <summary>Called when the driver announces a shutdown, or withdraws it.</summary>
    internal void SetShutDown(bool isShutDown)
    {
        lock (_shutdownLock)
        {
            _isShutDown = isShutDown;
            if (isShutDown)
                _shutdowns++;
        }

        if (isShutDown)
            Long.ShutDown();
        else
            WakeAll(null);
    }

    /// <summary>Called when all is durable, or cannot be; of no effect when the driver has withdrawn the shutdown.</summary>
    /// <param name="number">The last of <see cref="Shutdowns"/> before the flush.</param>
    /// <param name="isDurable">Whether the flush succeeded.</param>
    internal void FinishShutdown(int number, bool isDurable)
    {
        lock (_shutdownLock)
        {
            if (_isShutDown && number == _shutdowns)
                Function.FinishShutdown(isDurable);
        }
    }

    /// <summary>Waits until no queue writes bytes of a range; those that begin see <see cref="NvmeDisk.Generation"/>.</summary>
    /// <returns>False when the caller has to return.</returns>
    internal bool WaitForWrites(NvmeDiskWork work, long start, long end)
    {
        foreach (NvmeQueueWork? queue in _submissions)
        {
            while (queue is not null && queue.IsWriting(start, end))
            {
                if (work.ShouldReturn)
                    return false;
                Thread.Sleep(1);
            }
        }

        return true;
    }

    /// <summary>Called after all work was abandoned: the next access waits for the disk accesses under way.</summary>
    internal void LeaveBehind()
    {
        KeepAlive.Dispose();
        Drive.SelfTests.End(NvmeSelfTests.AbortedByReset, Drive.Health.Hours);
        foreach (NvmeQueueWork? queue in _submissions)
        {
            if (queue is not null)
                Drive.Disk.LeaveBehind(queue);
        }

        Drive.Disk.LeaveBehind(Long);
        foreach (NvmeTransferWork? transfer in _transfers)
        {
            if (transfer is not null)
                Drive.Disk.LeaveBehind(transfer);
        }
    }

    /// <summary>As <see cref="NvmeDisk.BeginFused"/>.</summary>
    internal bool TryBeginFused(NvmeQueueWork queue, long offset, long length) =>
        Drive.Disk.BeginFused(queue, _submissions, offset, length);

    internal NvmeQueueWork? FindSubmission(int id) => id is >= 1 and <= IoQueues ? _submissions[id] : null;

    internal NvmeCompletionQueue? FindCompletion(int id) => id is >= 1 and <= IoQueues ? _completions[id] : null;

    internal void SetSubmission(int id, NvmeQueueWork? queue) => Volatile.Write(ref _submissions[id], queue);

    internal void SetCompletion(int id, NvmeCompletionQueue? queue) => Volatile.Write(ref _completions[id], queue);

    /// <summary>Has all queues look for commands.</summary>
    internal void WakeAll() => WakeAll(null);

    /// <summary>Saves queues and features; all work is paused.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(_isShutDown);
        state.Write(_hasFailed);
        state.Write(_hasWriteCache);
        state.Write(_shadow?.Doorbells.Value ?? 0);
        state.Write(_shadow?.Events.Value ?? 0);
        foreach (int doorbell in Doorbells)
            state.Write(doorbell);
        for (int id = 0; id <= IoQueues; id++)
        {
            state.Write(_completions[id] is not null);
            _completions[id]?.Save(state);
        }

        for (int id = 0; id <= IoQueues; id++)
        {
            state.Write(_submissions[id] is not null);
            _submissions[id]?.Save(state);
        }

        // What waits for the medium is done again there, and what was to be done again here.
        (int Queue, NvmeCommand Command)[] waiting =
        [
            .. _transfers.Where(transfer => transfer?.Queue is not null).Select(transfer => (transfer!.Queue!.Id, transfer.Command)),
            .. _submissions.Where(queue => queue is not null).SelectMany(queue => queue!.Again.Select(command => (queue.Id, command))),
        ];
        state.Write(waiting.Length);
        foreach ((int queue, NvmeCommand command) in waiting)
        {
            state.Write(queue);
            state.Write(command);
        }

        Events.Save(state);
        Changed.Save(state);
        Features.Save(state);
        Long.Save(state);
    }

    /// <summary>Restores what <see cref="Save"/> wrote, which may be forged, into a controller that has just been enabled.</summary>
    /// <param name="state">The state.</param>
    /// <param name="isShuttingDown">Whether a shutdown was under way.</param>
    internal bool TryRestore(ref StateReader state, bool isShuttingDown)
    {
        if (!state.TryRead(out byte isShutDown) || !state.TryRead(out byte hasFailed) || !state.TryRead(out byte hasWriteCache)
            || !state.TryRead(out ulong doorbells) || !state.TryRead(out ulong events) || (doorbells | events) % PageBytes != 0)
        {
            return false;
        }

        (_isShutDown, _hasFailed, _hasWriteCache) = (isShutDown != 0, hasFailed != 0, hasWriteCache != 0);
        _shadow = doorbells == 0 ? null : new NvmeShadow(new Iova(doorbells), new Iova(events));
        for (int i = 0; i < Doorbells.Length; i++)
        {
            if (!state.TryRead(out Doorbells[i]) || Doorbells[i] is < 0 or >= MaxEntries)
                return false;
        }

        for (int id = 0; id <= IoQueues; id++)
        {
            if (!state.TryRead(out byte isThere) || (id == 0 && isThere == 0))
                return false;
            if (isThere != 0 && !NvmeCompletionQueue.TryRestore(ref state, id, _completions[id], out _completions[id]))
                return false;
            if (_completions[id] is { } queue && Doorbells[(2 * id) + 1] >= queue.Entries)
                return false;
        }

        for (int id = 0; id <= IoQueues; id++)
        {
            if (!state.TryRead(out byte isThere) || (id == 0 && isThere == 0))
                return false;
            if (isThere != 0 && !NvmeQueueWork.TryRestore(ref state, this, id, _completions, ref _submissions[id]))
                return false;
        }

        if (!state.TryRead(out int waiting) || waiting is < 0 or > MaxWaiting)
            return false;
        for (int i = 0; i < waiting; i++)
        {
            if (!state.TryRead(out int id) || !state.TryRead(out NvmeCommand command) || FindSubmission(id) is not { } queue)
                return false;
            queue.Add(command);
        }

        bool isRestored = Events.TryRestore(ref state) && Changed.TryRestore(ref state) && Features.TryRestore(ref state)
            && Long.TryRestore(ref state);
        if (isRestored && isShuttingDown && _isShutDown)
            Long.ShutDown();
        return isRestored;
    }

    private void WakeAll(NvmeCompletionQueue? completions)
    {
        for (int id = 0; id <= IoQueues; id++)
        {
            if (Volatile.Read(ref _submissions[id]) is { } queue && (completions is null || queue.Completions == completions))
                queue.Wake();
        }
    }
}
