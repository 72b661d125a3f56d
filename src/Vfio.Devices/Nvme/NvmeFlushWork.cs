using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>Flushes outside the I/O queues: before a shutdown is complete, and when the write cache is disabled. On a thread of its
/// own, so that admin commands continue meanwhile.</summary>
internal sealed class NvmeFlushWork(NvmeEngine controller) : DeviceWork(controller.Function)
{
    private readonly Queue<ushort> _commands = [];
    private int _isShutdownAsked;

    /// <inheritdoc/>
    protected internal override string Name => "nvme flush";

    /// <summary>Flushes, then completes a shutdown.</summary>
    internal void ShutDown()
    {
        Volatile.Write(ref _isShutdownAsked, 1);
        Wake();
    }

    /// <summary>Flushes, then completes the admin command that disables the write cache.</summary>
    internal void TurnCacheOff(ushort command)
    {
        lock (_commands)
            _commands.Enqueue(command);
        Wake();
    }

    /// <inheritdoc/>
    protected override void Run()
    {
        if (Interlocked.Exchange(ref _isShutdownAsked, 0) != 0)
        {
            NvmeOutcome outcome = controller.Disk.Flush(this);
            if (!Enter())
                return;
            if (controller.IsShutDown)
                controller.Function.FinishShutdown(outcome == NvmeOutcome.Success);
            Leave();
        }

        while (TryTake(out ushort command))
        {
            NvmeOutcome outcome = controller.Disk.Flush(this);
            if (outcome != NvmeOutcome.Success)
                controller.HasWriteCache = true;
            if (!Complete(command, outcome))
                return;
        }
    }

    private bool Complete(ushort command, NvmeOutcome outcome)
    {
        NvmeQueueWork admin = controller.Admin;
        while (Enter())
        {
            bool isPosted = NvmeQueueWork.TryPost(Bus, controller.Doorbells, admin.Completions, admin.Id, admin.Head, command, outcome);
            if (isPosted && admin.Completions.Vector is { } vector)
                Interrupt(vector);
            Leave();
            if (isPosted)
                return true;
            Thread.Sleep(1);
        }

        return false;
    }

    private bool TryTake(out ushort command)
    {
        lock (_commands)
            return _commands.TryDequeue(out command);
    }
}
