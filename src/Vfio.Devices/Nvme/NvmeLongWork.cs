using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>What takes long and is no I/O command: flushes before a shutdown is complete and when the write cache is disabled, Format NVM, self-tests,
/// sanitize. On a thread of its own, so that admin commands continue meanwhile.</summary>
internal sealed class NvmeLongWork(NvmeEngine controller) : NvmeDiskWork(controller.Function)
{
    private const int TestedBytes = 1 << 20;

    /// <summary>Most steps that wait; the driver begins them.</summary>
    private const int MaxSteps = 32;

    private readonly Queue<Func<bool>> _steps = [];
    private readonly HashSet<ushort> _commands = [];
    private readonly NvmeDrive _drive = controller.Drive;
    private int _isShutdownWanted;

    /// <inheritdoc/>
    protected internal override string Name => "nvme long";

    /// <summary>Whether so much is to be done that nothing more is taken.</summary>
    internal bool IsFull
    {
        get
        {
            lock (_steps)
                return _steps.Count >= MaxSteps;
        }
    }

    /// <summary>Waits for the end of the queues' commands, flushes, then completes a shutdown.</summary>
    internal void ShutDown()
    {
        _ = _drive.SelfTests.End(NvmeSelfTests.AbortedForOtherReasons, _drive.Health.Hours);

        // A driver may announce as many as it likes: one that has not begun is for the last of them.
        if (Interlocked.Exchange(ref _isShutdownWanted, 1) == 0)
            Add(FinishShutdown);
    }

    private bool FinishShutdown()
    {
        Interlocked.Exchange(ref _isShutdownWanted, 0);
        int number = controller.Shutdowns;
        while (controller.IsShutDown && controller.IsAnyBusy)
        {
            if (ShouldReturn)
            {
                if (!IsAbandoned)
                    ShutDown();
                return false;
            }

            Thread.Sleep(1);
        }

        NvmeOutcome outcome = _drive.Disk.Flush(this);
        if (!Enter())
            return false;
        controller.FinishShutdown(number, outcome == NvmeOutcome.Success);
        Leave();
        return true;
    }

    /// <summary>Flushes, then completes the admin command that disables the write cache.</summary>
    internal void TurnCacheOff(ushort command) => Add(command, () =>
    {
        NvmeOutcome outcome = _drive.Disk.Flush(this);
        if (outcome != NvmeOutcome.Success)
            controller.HasWriteCache = true;
        return Complete(command, outcome);
    });

    /// <summary>Zeroes namespaces, gives them a format, and completes the admin command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="spaces">Which namespaces.</param>
    /// <param name="format">Their LBA format.</param>
    internal void Format(ushort command, NvmeSpace[] spaces, int format)
    {
        _ = _drive.SelfTests.End(NvmeSelfTests.AbortedByFormat, _drive.Health.Hours);
        Add(command, () => GoOnFormatting(command, spaces, format));
    }

    private bool GoOnFormatting(ushort command, NvmeSpace[] spaces, int format)
    {
        Generation = _drive.Disk.Advance();
        NvmeOutcome outcome = NvmeOutcome.Success;
        for (int i = 0; i < spaces.Length && outcome == NvmeOutcome.Success; i++)
        {
            outcome = Erase(spaces[i]);
            if (outcome == NvmeOutcome.Kept)
            {
                NvmeSpace[] rest = spaces[i..];
                return GoOnLater(() => GoOnFormatting(command, rest, format));
            }

            if (outcome == NvmeOutcome.Success)
                outcome = _drive.Disk.Flush(this);
            if (!Enter())
                return false;
            if (outcome == NvmeOutcome.Success)
            {
                spaces[i].BadBlocks.Clear();
                spaces[i].SetFormat(format);
            }

            Leave();
        }

        controller.Formatting = 0;
        return Complete(command, outcome);
    }

    /// <summary>Makes a namespace zeros once the writes that have begun are over.</summary>
    /// <returns><see cref="NvmeOutcome.Kept"/> when this has to return before.</returns>
    private NvmeOutcome Erase(NvmeSpace space)
    {
        const int PieceBytes = 1 << 20;
        if (!controller.WaitForWrites(this, space.Start, space.Start + space.Length))
            return NvmeOutcome.Kept;
        if (_drive.Disk.MayWait)
            return _drive.Disk.Zero(this, space.Start, space.Length, isDiscarded: true);

        // In memory nothing waits for what a reset leaves behind, so the reset waits for a piece.
        NvmeOutcome outcome = NvmeOutcome.Success;
        for (long at = 0; at < space.Length && outcome == NvmeOutcome.Success; at += PieceBytes)
        {
            if (ShouldReturn || !Enter())
                return NvmeOutcome.Kept;
            outcome = _drive.Disk.Zero(this, space.Start + at, Math.Min(PieceBytes, space.Length - at), isDiscarded: true);
            Leave();
        }

        return outcome;
    }

    /// <summary>Reads a part of a namespace, or all of it: a self-test, which the drive keeps the result of.</summary>
    /// <param name="number">The test's number.</param>
    /// <param name="spaces">Which namespaces.</param>
    /// <param name="isAll">Whether all of them is read.</param>
    internal void Test(int number, NvmeSpace[] spaces, bool isAll) => Add(() => GoOnTesting(number, spaces, isAll, from: 0));

    private bool GoOnTesting(int number, NvmeSpace[] spaces, bool isAll, long from)
    {
        byte[] piece = new byte[TestedBytes];
        int result = NvmeSelfTests.Passed;
        for (int i = 0; i < spaces.Length && result == NvmeSelfTests.Passed; i++, from = 0)
        {
            long end = isAll ? spaces[i].Length : Math.Min(spaces[i].Length, TestedBytes);
            for (long at = from; at < end && result == NvmeSelfTests.Passed; at += piece.Length)
            {
                // Ended by a command.
                if (!_drive.SelfTests.IsUnderWay(number))
                    return true;
                if (ShouldReturn)
                {
                    NvmeSpace[] rest = spaces[i..];
                    return GoOnLater(() => GoOnTesting(number, rest, isAll, at));
                }

                int count = (int)Math.Min(piece.Length, end - at);
                if (_drive.Disk.Test(spaces[i].Start + at, piece.AsSpan(0, count)) != Errno.None)
                    result = NvmeSelfTests.SegmentFailed;
            }
        }

        if (!Enter())
            return false;
        _drive.SelfTests.End(number, result, _drive.Health.Hours);
        Leave();
        return true;
    }

    /// <summary>Erases all blocks. A reset does not end it: the next controller begins again.</summary>
    internal void Sanitize()
    {
        _ = _drive.SelfTests.End(NvmeSelfTests.AbortedBySanitize, _drive.Health.Hours);
        Add(() => GoOnSanitizing(from: 0));
    }

    private bool GoOnSanitizing(int from)
    {
        const int Completed = 1, Page = 0x81;
        Generation = _drive.Disk.Advance();
        NvmeOutcome outcome = NvmeOutcome.Success;
        for (int i = from; i < _drive.Spaces.Length && outcome == NvmeOutcome.Success; i++)
        {
            NvmeSpace space = _drive.Spaces[i];
            outcome = Erase(space);
            if (outcome == NvmeOutcome.Kept)
            {
                int next = i;
                return GoOnLater(() => GoOnSanitizing(next));
            }

            if (!Enter())
                return false;
            if (outcome == NvmeOutcome.Success)
                space.BadBlocks.Clear();
            Leave();
        }

        if (outcome == NvmeOutcome.Success)
            outcome = _drive.Disk.Flush(this);
        if (!Enter())
            return false;
        _drive.Sanitize.End(outcome == NvmeOutcome.Success);
        Leave();
        controller.Raise(NvmeEvents.IoCommandSet, Completed, Page);
        return true;
    }

    /// <summary>Leaves the rest of a step for when the device goes on, unless it is abandoned.</summary>
    private bool GoOnLater(Func<bool> rest)
    {
        if (!IsAbandoned)
            Add(rest);
        return false;
    }

    /// <inheritdoc/>
    protected override void Run()
    {
        while (TryTake(out Func<bool> step))
        {
            if (!step())
                return;
        }
    }

    private bool Complete(ushort command, NvmeOutcome outcome)
    {
        NvmeQueueWork admin = controller.Admin;
        while (Enter())
        {
            bool isPosted = NvmeQueueWork.TryPost(Bus, controller, admin.Completions, admin.Id, admin.Head, command, outcome);
            if (isPosted && admin.Completions.Vector is { } vector)
                Interrupt(vector);
            Leave();
            if (isPosted)
            {
                lock (_steps)
                    _commands.Remove(command);
                return true;
            }

            // A device that is stopped waits for this; a driver that is stopped takes no completions.
            if (ShouldReturn)
            {
                Add(() => Complete(command, outcome));
                return false;
            }

            Thread.Sleep(1);
        }

        return false;
    }

    /// <summary>Saves the commands that are to be completed. What runs returns before a save; they begin again where the driver
    /// sends them again.</summary>
    internal void Save(StateWriter state)
    {
        lock (_steps)
        {
            state.Write(_commands.Count);
            foreach (ushort command in _commands)
                state.Write(command);
        }
    }

    /// <summary>Restores what <see cref="Save"/> wrote: the commands are interrupted, and the driver sends them again.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        const int MaxCommands = 4096;
        if (!state.TryRead(out int count) || count is < 0 or > MaxCommands)
            return false;
        for (int i = 0; i < count; i++)
        {
            if (!state.TryRead(out ushort command))
                return false;
            Add(command, () => Complete(command, NvmeOutcome.Interrupted));
        }

        return true;
    }

    private void Add(ushort command, Func<bool> step)
    {
        lock (_steps)
            _commands.Add(command);
        Add(step);
    }

    private void Add(Func<bool> step)
    {
        lock (_steps)
            _steps.Enqueue(step);
        Wake();
    }

    private bool TryTake(out Func<bool> step)
    {
        lock (_steps)
            return _steps.TryDequeue(out step!);
    }
}
