using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>What takes long and is no I/O command: flushes before a shutdown is complete and when the write cache is disabled, Format NVM, self-tests,
/// sanitize. On a thread of its own, so that admin commands continue meanwhile.</summary>
internal sealed class NvmeLongWork(NvmeEngine controller) : NvmeDiskWork(controller.Function)
{
    private const int TestedBytes = 1 << 20;
    private readonly Queue<Func<bool>> _steps = [];
    private readonly HashSet<ushort> _commands = [];
    private readonly NvmeDrive _drive = controller.Drive;

    /// <inheritdoc/>
    protected internal override string Name => "nvme long";

    /// <summary>Flushes, then completes a shutdown.</summary>
    internal void ShutDown() => Add(() =>
    {
        NvmeOutcome outcome = _drive.Disk.Flush(this);
        if (!Enter())
            return false;
        if (controller.IsShutDown)
            controller.Function.FinishShutdown(outcome == NvmeOutcome.Success);
        Leave();
        return true;
    });

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
    internal void Format(ushort command, NvmeSpace[] spaces, int format) => Add(command, () =>
    {
        NvmeOutcome outcome = NvmeOutcome.Success;
        foreach (NvmeSpace space in spaces)
        {
            if (outcome == NvmeOutcome.Success)
                outcome = _drive.Disk.Zero(this, space.Start, space.Length, isDiscarded: true);
            if (outcome != NvmeOutcome.Success)
                break;
            space.BadBlocks.Clear();
            space.SetFormat(format);
        }

        controller.Formatting = 0;
        return Complete(command, outcome);
    });

    /// <summary>Reads a part of a namespace, or all of it: a self-test, which the drive keeps the result of.</summary>
    internal void Test(NvmeSpace[] spaces, bool isAll) => Add(() =>
    {
        byte[] piece = new byte[TestedBytes];
        int result = NvmeSelfTests.Passed;
        foreach (NvmeSpace space in spaces)
        {
            long end = isAll ? space.Length : Math.Min(space.Length, TestedBytes);
            for (long at = 0; at < end && result == NvmeSelfTests.Passed; at += piece.Length)
            {
                // Ended by a command, or abandoned.
                if (_drive.SelfTests.Current == 0 || IsAbandoned)
                    return true;
                int count = (int)Math.Min(piece.Length, end - at);
                if (_drive.Disk.Test(space.Start + at, piece.AsSpan(0, count)) != Errno.None)
                    result = NvmeSelfTests.SegmentFailed;
            }
        }

        if (!Enter())
            return false;
        _drive.SelfTests.End(result, _drive.Health.Hours);
        Leave();
        return true;
    });

    /// <summary>Erases all blocks. A reset does not end it: the next controller begins again.</summary>
    internal void Sanitize() => Add(() =>
    {
        const int Completed = 1, Page = 0x81;
        NvmeOutcome outcome = NvmeOutcome.Success;
        foreach (NvmeSpace space in _drive.Spaces)
        {
            if (outcome != NvmeOutcome.Success)
                break;
            outcome = _drive.Disk.Zero(this, space.Start, space.Length, isDiscarded: true);
            space.BadBlocks.Clear();
        }

        if (outcome == NvmeOutcome.Success)
            outcome = _drive.Disk.Flush(this);
        if (!Enter())
            return false;
        _drive.Sanitize.End(outcome == NvmeOutcome.Success);
        Leave();
        controller.Raise(NvmeEvents.IoCommandSet, Completed, Page);
        return true;
    });

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

    /// <summary>Saves the commands that are to be completed. What runs ends before a save, so these have not begun.</summary>
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
