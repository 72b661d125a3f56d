namespace Vfio.Devices.Nvme;

/// <summary>A read that has to wait for the medium, on a thread of its own: the queue's thread does the next commands meanwhile.</summary>
internal sealed class NvmeTransferWork(NvmeEngine controller) : NvmeDiskWork(controller.Function)
{
    private readonly NvmeData _data = new();
    private NvmeQueueWork? _queue;
    private NvmeCommand _command;
    private long _offset;
    private int _count;
    private int _isBusy;

    /// <inheritdoc/>
    protected internal override string Name => "nvme read";

    /// <summary>Whose command it is doing; null when it is free.</summary>
    internal NvmeQueueWork? Queue => Volatile.Read(ref _isBusy) != 0 ? _queue : null;

    /// <summary>The command; while it has one.</summary>
    internal ref readonly NvmeCommand Command => ref _command;

    /// <summary>Begins a read.</summary>
    /// <returns>False when it is busy.</returns>
    internal bool TryBegin(NvmeQueueWork queue, in NvmeCommand command, long offset, int count)
    {
        if (Volatile.Read(ref _isBusy) != 0 || IsAbandoned)
            return false;
        (_queue, _command, _offset, _count) = (queue, command, offset, count);
        Volatile.Write(ref _isBusy, 1);
        Wake();
        return true;
    }

    /// <inheritdoc/>
    protected override void Run()
    {
        if (Queue is not { } queue)
            return;
        NvmeOutcome outcome = controller.Drive.Disk.Read(this, _offset, _data.Take(_count));
        if (outcome == NvmeOutcome.Kept || !Enter())
            return;
        NvmeTally tally = controller.Drive.Health.OfTransfers;
        if (outcome != NvmeOutcome.Success)
        {
            Interlocked.Increment(ref tally.MediaErrors);
        }
        else
        {
            Interlocked.Increment(ref tally.Reads);
            Interlocked.Add(ref tally.BytesRead, _count);
            outcome = _data.Send(Bus, _command, _count);
        }

        if (!TryFinish(queue, queue.Record(_command, outcome)))
            return;

        // Inside the section: who abandons this sees whether the command is completed.
        Volatile.Write(ref _isBusy, 0);
        Leave();
    }

    /// <returns>False when it is abandoned, or paused with the command not completed: it is done again then.</returns>
    private bool TryFinish(NvmeQueueWork queue, NvmeOutcome outcome)
    {
        NvmeCompletionQueue completions = queue.Completions;
        while (true)
        {
            controller.UpdateHead(Bus, completions);
            if (NvmeQueueWork.TryPost(Bus, controller, completions, queue.Id, queue.Head, _command.Id, outcome))
                break;
            Leave();
            if (ShouldReturn)
                return false;
            Thread.Sleep(1);
            if (!Enter())
                return false;
        }

        if (completions.Vector is { } vector)
            Interrupt(vector);
        return true;
    }
}
