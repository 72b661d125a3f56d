using System.Diagnostics;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Devices.Nvme;

/// <summary>A submission queue in the driver's memory, and the thread that does its commands in their order.</summary>
/// <remarks>Queues are independent of each other. Nothing is allocated for a command.</remarks>
internal abstract class NvmeQueueWork : NvmeDiskWork
{
    /// <summary>Commands between two interrupts.</summary>
    private const int Burst = 16;

    private const int CommandBytes = 64;
    private const int None = -1;
    private static readonly TimeSpan LongestPending = TimeSpan.FromMicroseconds(20);

    /// <summary>How long a queue watches its tail before it sleeps, in ticks of <see cref="Stopwatch"/>: 10 us to 100 us.</summary>
    private static readonly long ShortestWindow = Stopwatch.Frequency / 100_000, LongestWindow = Stopwatch.Frequency / 10_000;

    private readonly NvmeEngine _controller;
    private readonly Iova _start;
    private readonly byte[] _entry = new byte[CommandBytes];
    private readonly Queue<(ushort Command, NvmeOutcome Outcome)> _owed = [];
    private int _head;
    private int _underWay = None;
    private long _pendingSince;
    private int _askedAt;
    private long _asleepSince;
    private long _window;
    private int _isBusy;

    /// <summary>Makes an empty queue.</summary>
    /// <param name="controller">The controller that it belongs to.</param>
    /// <param name="id">Its number: 0 for admin commands.</param>
    /// <param name="start">Where its first entry is.</param>
    /// <param name="entries">How many it has.</param>
    /// <param name="completions">The queue of its completions.</param>
    protected NvmeQueueWork(NvmeEngine controller, int id, Iova start, int entries, NvmeCompletionQueue completions)
        : base(controller.Function)
    {
        _controller = controller;
        _start = start;
        Id = id;
        Entries = entries;
        Completions = completions;
    }

    internal int Id { get; }

    internal int Entries { get; }

    internal NvmeCompletionQueue Completions { get; }

    /// <summary>The command that it has fetched and not completed; null when there is none. Read when it is abandoned.</summary>
    internal ushort? UnderWay => Volatile.Read(ref _underWay) is >= 0 and int id ? (ushort)id : null;

    /// <inheritdoc/>
    protected internal override string Name => $"nvme queue {Id}";

    /// <summary>Counts what this queue does.</summary>
    protected NvmeTally Tally => _controller.Drive.Health[Id];

    /// <summary>The controller's side of transfers; for the queue's thread.</summary>
    protected NvmeData Data { get; } = new();

    protected NvmeEngine Controller => _controller;

    /// <inheritdoc/>
    protected override void Run()
    {
        // A full barrier: either a shutdown sees that it runs, or it sees the shutdown.
        Interlocked.Exchange(ref _isBusy, 1);
        try
        {
            long start = Stopwatch.GetTimestamp();
            NoteSleep(start);
            do
            {
                if (!TryDoAll())
                    return;
            }
            while (LookForTail());
            long end = Stopwatch.GetTimestamp();
            Tally.BusyTicks += end - start;
            _asleepSince = end;
        }
        finally
        {
            Volatile.Write(ref _isBusy, 0);
        }
    }

    /// <summary>Whether it is in the middle of commands.</summary>
    internal bool IsBusy => Volatile.Read(ref _isBusy) != 0;

    private bool IsHalted => ShouldReturn || _controller.IsStopped;

    /// <summary>Does commands until there are no more.</summary>
    /// <returns>False when it is abandoned.</returns>
    private bool TryDoAll()
    {
        bool any = true;
        while (any && !IsHalted)
        {
            any = false;
            if (!Enter())
                return false;
            for (int i = 0; i < Burst && !IsHalted && TryPostOwed() && (TryDoOther() || TryDoNext()); i++)
                any = true;
            RaiseInterrupt();
            Leave();
        }

        return true;
    }

    /// <summary>Posts what found no room before a stop.</summary>
    private bool TryPostOwed()
    {
        while (_owed.TryPeek(out (ushort Command, NvmeOutcome Outcome) owed))
        {
            while (!TryPost(owed.Command, owed.Outcome))
            {
                if (!HasRoom())
                    return false;
            }

            _owed.Dequeue();
            NotePending();
        }

        return true;
    }

    /// <summary>How many fetched commands are not begun.</summary>
    protected virtual int Unfinished => 0;

    /// <summary>Does something that is not a command of the queue; inside a section.</summary>
    /// <returns>False when there is nothing.</returns>
    protected virtual bool TryDoOther() => false;

    /// <summary>With shadow doorbells a tail moves without a wake: watches it for as long as that has paid, then asks to be woken.</summary>
    /// <returns>Whether it has moved.</returns>
    private bool LookForTail()
    {
        if (Id == 0 || _controller.Shadow is not { } shadow || ShouldReturn || _controller.IsStopped)
            return false;

        // Commands that wait for room for their completions are no reason to look: the completion queue's head wakes this.
        if (!HasRoom())
            return false;
        long until = Stopwatch.GetTimestamp() + _window;
        SpinWait spin = default;
        while (_window > 0 && Stopwatch.GetTimestamp() < until && !ShouldReturn)
        {
            if (HasTailMoved(shadow))
                return true;
            spin.SpinOnce(sleep1Threshold: -1);
        }

        // Either the driver sees this number before it decides on a doorbell, or this sees the tail that it has written before.
        if (!shadow.TryAsk(Bus, 2 * Id, _head))
        {
            Fail();
            return false;
        }

        _askedAt = _head;
        Interlocked.MemoryBarrier();
        return HasTailMoved(shadow);
    }

    private bool HasTailMoved(NvmeShadow shadow)
    {
        if (!shadow.TryRead(Bus, 2 * Id, out int tail))
        {
            Fail();
            return false;
        }

        if (tail == _head || tail >= Entries)
            return false;
        Volatile.Write(ref _controller.Doorbells[2 * Id], tail);

        // What was asked for stays in force when the queue comes round to it again: moved behind the tail before that, it has no effect.
        if (2 * ((tail - _askedAt + Entries) % Entries) >= Entries && shadow.TryAsk(Bus, 2 * Id, (tail - 1) & 0xffff))
            _askedAt = tail;
        return true;
    }

    /// <summary>A sleep that was short was not worth it: the next look is longer. After a long one there is none.</summary>
    private void NoteSleep(long now)
    {
        if (_asleepSince == 0)
            return;
        long slept = now - _asleepSince;
        _window = slept > LongestWindow ? 0 : Math.Clamp(2 * _window, ShortestWindow, LongestWindow);
    }

    /// <summary>Puts a command, fetched before, to what is done next; before the work runs.</summary>
    internal virtual void Add(in NvmeCommand command)
    {
    }

    /// <summary>Commands that are done next, fetched before; for a save.</summary>
    internal virtual IReadOnlyCollection<NvmeCommand> Again => [];

    /// <summary>Does a command. Inside a section, which it ends around what may take long; <see cref="NvmeOutcome.Kept"/> when it was
    /// abandoned meanwhile.</summary>
    protected abstract NvmeOutcome Do(in NvmeCommand command);

    /// <summary>Posts a completion, from this thread or for work of the same controller; inside a section of its own.</summary>
    /// <returns>False when the queue is full.</returns>
    internal static bool TryPost(
        IPciSlot bus, NvmeEngine controller, NvmeCompletionQueue completions, int queue, int head, ushort command, NvmeOutcome outcome)
    {
        if (!completions.TryTake(Volatile.Read(ref controller.Doorbells[(2 * completions.Id) + 1]), out Iova address, out int phase))
            return false;
        Span<uint> dwords =
        [
            outcome.Result,
            0,
            (uint)head | (uint)queue << 16,
            command | (uint)phase << 16 | (uint)outcome.Status << 17,
        ];
        ReadOnlySpan<byte> bytes = Blittable.AsBytes<uint>(dwords);

        // The phase tag last, so that a driver that sees it sees the rest. EPERM is a reset that comes in between.
        const int LastDword = 12;
        Errno error = bus.WriteMemory(address, bytes[..LastDword]);
        if (error == Errno.None)
            error = bus.WriteMemory(address + LastDword, bytes[LastDword..]);
        if (error is not (Errno.None or Errno.OperationNotPermitted))
            controller.Fail();
        controller.NotePosted(bus, completions);
        return true;
    }

    /// <summary>Whether another command is in the queue.</summary>
    protected bool HasNext =>
        Volatile.Read(ref _controller.Doorbells[2 * Id]) != _head || (_controller.Shadow is { } shadow && HasTailMoved(shadow));

    /// <summary>The entry to fetch next; completions report it as SQHD.</summary>
    internal int Head => Volatile.Read(ref _head);

    private bool TryDoNext()
    {
        int[] doorbells = _controller.Doorbells;
        int tail = Volatile.Read(ref doorbells[2 * Id]);
        if (tail == _head && Id > 0 && _controller.Shadow is { } shadow && HasTailMoved(shadow))
            tail = Volatile.Read(ref doorbells[2 * Id]);
        if (tail == _head || !HasRoom())
            return false;
        if (Bus.ReadMemory(_start + ((ulong)_head * CommandBytes), _entry) != Errno.None)
        {
            Fail();
            return false;
        }

        Volatile.Write(ref _head, (_head + 1) % Entries);
        NvmeCommand command = Blittable.Read<NvmeCommand>(_entry);
        MarkUnderWay(command.Id);
        NvmeOutcome outcome = Do(command);
        if (IsAbandoned)
            return false;
        if (outcome != NvmeOutcome.Kept && !Post(command.Id, Record(command, outcome)))
            return false;
        MarkUnderWay(null);
        return true;
    }

    /// <summary>Says which command this is in the middle of.</summary>
    protected void MarkUnderWay(ushort? command) => Volatile.Write(ref _underWay, command ?? None);

    /// <summary>Adds a command that failed to the error log.</summary>
    internal NvmeOutcome Record(in NvmeCommand command, NvmeOutcome outcome)
    {
        if (!outcome.IsRecorded)
            return outcome;
        _controller.Drive.Errors.Add(Id, command, outcome);
        return outcome with { Status = outcome.Status | NvmeOutcome.More };
    }

    /// <summary>Posts a completion of this queue; inside a section, which it leaves while the completion queue is full. A device that stops
    /// does not wait for the driver: the completion is posted when it goes on.</summary>
    /// <returns>False when the work is abandoned.</returns>
    protected bool Post(ushort command, NvmeOutcome outcome)
    {
        // There was a free entry before; another queue may have taken it.
        while (_owed.Count > 0 || !TryPost(command, outcome))
        {
            if (_owed.Count > 0 || IsHalted)
            {
                _owed.Enqueue((command, outcome));
                return true;
            }

            RaiseInterrupt();
            Leave();
            Thread.Sleep(1);
            if (!Enter())
                return false;
        }

        NotePending();
        return true;
    }

    private void NotePending()
    {
        if (_pendingSince == 0)
            _pendingSince = Stopwatch.GetTimestamp();
    }

    private bool TryPost(ushort command, NvmeOutcome outcome)
    {
        _controller.UpdateHead(Bus, Completions);
        return TryPost(Bus, _controller, Completions, Id, _head, command, outcome);
    }

    /// <summary>The controller cannot reach the driver's queues: a fatal status (CSTS.CFS), unless this is over anyway.</summary>
    private void Fail()
    {
        if (!IsAbandoned)
            _controller.Fail();
    }

    /// <summary>Ends the section before what may take long. Raises the interrupt for posted completions first. Before a read or a
    /// write, which mostly takes no time, only when the first completion has waited for a while, so that a burst is one
    /// interrupt.</summary>
    protected void LeaveFor(bool isLong)
    {
        if (isLong || (_pendingSince != 0 && Stopwatch.GetElapsedTime(_pendingSince) > LongestPending))
            RaiseInterrupt();
        Leave();
    }

    private void RaiseInterrupt()
    {
        if (_pendingSince == 0)
            return;
        _pendingSince = 0;
        if (Completions.Vector is { } vector)
            Interrupt(vector);
    }

    /// <summary>Whether there is room for a completion; when there is none, this is woken when there is.</summary>
    protected bool HasRoom()
    {
        ref int head = ref _controller.Doorbells[(2 * Completions.Id) + 1];
        if (!Completions.IsFull(Volatile.Read(ref head)))
            return true;
        Completions.HoldBack();
        _controller.AskForHead(Bus, Completions);
        return !Completions.IsFull(Volatile.Read(ref head));
    }

    /// <summary>Saves it, between two commands.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(_start.Value);
        state.Write(Entries);
        state.Write(Completions.Id);
        state.Write((_head + Entries - Unfinished) % Entries);
        state.Write(_owed.Count);
        foreach ((ushort command, NvmeOutcome outcome) in _owed)
        {
            state.Write(command);
            state.Write(outcome.Status);
            state.Write(outcome.Result);
        }
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    /// <param name="state">The state, which may be forged.</param>
    /// <param name="controller">The controller.</param>
    /// <param name="id">The queue's number.</param>
    /// <param name="completions">All completion queues.</param>
    /// <param name="queue">The admin queue, which the registers describe, or the queue that this makes.</param>
    internal static bool TryRestore(
        ref StateReader state, NvmeEngine controller, int id, ReadOnlySpan<NvmeCompletionQueue?> completions, ref NvmeQueueWork? queue)
    {
        const int MaxEntries = 1024, PageBytes = 4096;
        if (!state.TryRead(out ulong start) || !state.TryRead(out int entries) || !state.TryRead(out int completionId)
            || !state.TryRead(out int head) || (uint)completionId >= (uint)completions.Length)
        {
            return false;
        }

        if (queue is null)
        {
            if (completionId == 0 || completions[completionId] is not { } posts || start % PageBytes != 0 || entries is < 2 or > MaxEntries)
                return false;
            posts.Users++;
            queue = new NvmeIoWork(controller, id, new Iova(start), entries, posts);
        }

        queue._head = head;
        return head >= 0 && head < queue.Entries && controller.Doorbells[2 * id] < queue.Entries && queue.TryRestoreOwed(ref state);
    }

    private bool TryRestoreOwed(ref StateReader state)
    {
        const int MaxOwed = 16, MaxStatus = 0x7fff;
        if (!state.TryRead(out int count) || count is < 0 or > MaxOwed)
            return false;
        for (int i = 0; i < count; i++)
        {
            if (!state.TryRead(out ushort command) || !state.TryRead(out int status) || status is < 0 or > MaxStatus
                || !state.TryRead(out uint result))
            {
                return false;
            }

            _owed.Enqueue((command, new NvmeOutcome(status, result)));
        }

        return true;
    }
}
