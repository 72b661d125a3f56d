using System.Diagnostics;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Devices.Nvme;

/// <summary>A submission queue in the driver's memory, and the thread that does its commands in their order.</summary>
/// <remarks>Queues are independent of each other. Nothing is allocated for a command.</remarks>
internal abstract class NvmeQueueWork : DeviceWork
{
    /// <summary>Commands between two interrupts.</summary>
    private const int Burst = 16;

    private const int CommandBytes = 64;
    private const int None = -1;
    private static readonly TimeSpan LongestPending = TimeSpan.FromMicroseconds(20);
    private readonly NvmeEngine _controller;
    private readonly Iova _start;
    private readonly byte[] _entry = new byte[CommandBytes];
    private int _head;
    private int _isAtDisk;
    private int _underWay = None;
    private long _pendingSince;

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

    /// <summary>Whether it is in the middle of a read or a write of the disk.</summary>
    internal bool IsAtDisk => Volatile.Read(ref _isAtDisk) != 0;

    /// <summary>The command that it has fetched and not completed; null when there is none. Read when it is abandoned.</summary>
    internal ushort? UnderWay => Volatile.Read(ref _underWay) is >= 0 and int id ? (ushort)id : null;

    /// <inheritdoc/>
    protected internal override string Name => $"nvme queue {Id}";

    /// <summary>The controller's side of transfers; for the queue's thread.</summary>
    protected NvmeData Data { get; } = new();

    protected NvmeEngine Controller => _controller;

    internal void MarkAtDisk() => Interlocked.Exchange(ref _isAtDisk, 1);

    internal void MarkAway() => Interlocked.Exchange(ref _isAtDisk, 0);

    /// <inheritdoc/>
    protected override void Run()
    {
        bool any = true;
        while (any && !ShouldReturn && !_controller.IsShutDown)
        {
            any = false;
            if (!Enter())
                return;
            for (int i = 0; i < Burst && TryDoNext(); i++)
                any = true;
            RaiseInterrupt();
            Leave();
        }
    }

    /// <summary>Does a command. Inside a section, which it ends around what may take long; <see cref="NvmeOutcome.Kept"/> when it was
    /// abandoned meanwhile.</summary>
    protected abstract NvmeOutcome Do(in NvmeCommand command);

    /// <summary>Posts a completion, from this thread or for work of the same controller; inside a section of its own.</summary>
    /// <returns>False when the queue is full.</returns>
    internal static bool TryPost(
        IPciSlot bus, int[] doorbells, NvmeCompletionQueue completions, int queue, int head, ushort command, NvmeOutcome outcome)
    {
        if (!completions.TryTake(Volatile.Read(ref doorbells[(2 * completions.Id) + 1]), out Iova address, out int phase))
            return false;
        Span<uint> dwords =
        [
            outcome.Result,
            0,
            (uint)head | (uint)queue << 16,
            command | (uint)phase << 16 | (uint)outcome.Status << 17,
        ];
        ReadOnlySpan<byte> bytes = Blittable.AsBytes<uint>(dwords);

        // The phase tag last, so that a driver that sees it sees the rest. A completion that cannot be written is lost.
        const int LastDword = 12;
        _ = bus.WriteMemory(address, bytes[..LastDword]);
        _ = bus.WriteMemory(address + LastDword, bytes[LastDword..]);
        return true;
    }

    /// <summary>The entry to fetch next; completions report it as SQHD.</summary>
    internal int Head => Volatile.Read(ref _head);

    private bool TryDoNext()
    {
        int[] doorbells = _controller.Doorbells;
        int tail = Volatile.Read(ref doorbells[2 * Id]);
        if (tail == _head || tail >= Entries || !HasRoom(doorbells))
            return false;
        bool isFetched = Bus.ReadMemory(_start + ((ulong)_head * CommandBytes), _entry) == Errno.None;
        Volatile.Write(ref _head, (_head + 1) % Entries);
        NvmeCommand command = isFetched ? Blittable.Read<NvmeCommand>(_entry) : default;
        Volatile.Write(ref _underWay, command.Id);
        NvmeOutcome outcome = !isFetched ? NvmeOutcome.DataTransferError
            : command.Flags != 0 ? NvmeOutcome.InvalidField
            : Do(command);
        if (IsAbandoned)
            return false;
        if (outcome != NvmeOutcome.Kept)
        {
            // There was a free entry before; another queue may have taken it.
            while (!TryPost(Bus, doorbells, Completions, Id, _head, command.Id, outcome))
            {
                RaiseInterrupt();
                Leave();
                Thread.Sleep(1);
                if (!Enter())
                    return false;
            }

            if (_pendingSince == 0)
                _pendingSince = Stopwatch.GetTimestamp();
        }

        Volatile.Write(ref _underWay, None);
        return true;
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

    private bool HasRoom(int[] doorbells)
    {
        ref int head = ref doorbells[(2 * Completions.Id) + 1];
        if (!Completions.IsFull(Volatile.Read(ref head)))
            return true;
        Completions.HoldBack();
        return !Completions.IsFull(Volatile.Read(ref head));
    }
}
