using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Drivers.Nvme;

/// <summary>A submission queue and its completion queue for reads, writes and flushes: many commands in flight, no allocation.</summary>
/// <remarks>
/// <para>A command is put into the queue by <see cref="TryRead"/> and its like, the controller is told of all of them by one
/// <see cref="RingDoorbell"/>, and <see cref="Poll"/> brings what is over, in any order. Data moves between the device and
/// the caller's <see cref="DmaBuffer"/>, which nobody else uses meanwhile.</para>
/// <para>One thread at a time. More threads have a pair each, which is what NVM Express is made for, or use
/// <see cref="NvmeBlockDevice"/>. After an exception other than an <see cref="ArgumentException"/> what is in flight is lost: open the
/// device again.</para>
/// </remarks>
public sealed class NvmeQueuePair : IDisposable
{
    private const string Waiting = "wait for completions";
    private readonly NvmeController _controller;
    private readonly NvmeRing _ring;
    private readonly NvmePrpLists _lists;
    private readonly ulong[] _tags;
    private EventSleep? _sleep;
    private bool _disposed;

    internal NvmeQueuePair(NvmeController controller, int id, NvmeRing ring, NvmePrpLists lists, Interrupt? interrupt)
    {
        _controller = controller;
        _ring = ring;
        _lists = lists;
        _tags = new ulong[Depth];
        Id = id;
        Interrupt = interrupt;
    }

    /// <summary>Its number, from 1.</summary>
    public int Id { get; }

    /// <summary>How many commands may be in flight.</summary>
    public int Depth => _ring.Entries - 1;

    /// <summary>How many commands were put into the queue and are not over.</summary>
    public int InFlight => _ring.InFlight;

    /// <summary>What fires when commands are over; the caller keeps it. Null when it has to be polled.</summary>
    /// <remarks><see cref="Wait"/> does not take what fired from it: who waits for it too finds that it has.</remarks>
    public Interrupt? Interrupt { get; }

    /// <summary>Puts a read into the queue.</summary>
    /// <param name="source">From where.</param>
    /// <param name="block">The first block.</param>
    /// <param name="blocks">1 to <see cref="NvmeNamespace.MaxTransferBlocks"/>.</param>
    /// <param name="destination">Memory of this controller's <see cref="NvmeController.Device"/>.</param>
    /// <param name="offset">Where in it, in bytes; a multiple of 4.</param>
    /// <param name="tag">Comes back in <see cref="NvmeCompleted.Tag"/>.</param>
    /// <returns>False when <see cref="Depth"/> commands are in flight.</returns>
    public bool TryRead(NvmeNamespace source, long block, int blocks, DmaBuffer destination, long offset, ulong tag) =>
        TryPut(NvmeOpcode.Read, source, block, blocks, destination, offset, tag);

    /// <summary>Puts a write into the queue.</summary>
    /// <param name="destination">To where.</param>
    /// <param name="block">The first block.</param>
    /// <param name="blocks">1 to <see cref="NvmeNamespace.MaxTransferBlocks"/>.</param>
    /// <param name="source">Memory of this controller's <see cref="NvmeController.Device"/>.</param>
    /// <param name="offset">Where in it, in bytes; a multiple of 4.</param>
    /// <param name="tag">Comes back in <see cref="NvmeCompleted.Tag"/>.</param>
    /// <returns>False when <see cref="Depth"/> commands are in flight.</returns>
    public bool TryWrite(NvmeNamespace destination, long block, int blocks, DmaBuffer source, long offset, ulong tag) =>
        TryPut(NvmeOpcode.Write, destination, block, blocks, source, offset, tag);

    /// <summary>Puts a flush into the queue: writes that are over when it is put there are safe from loss of power when it is over.</summary>
    /// <param name="target">Of which namespace.</param>
    /// <param name="tag">Comes back in <see cref="NvmeCompleted.Tag"/>.</param>
    /// <returns>False when <see cref="Depth"/> commands are in flight.</returns>
    public bool TryFlush(NvmeNamespace target, ulong tag)
    {
        ArgumentNullException.ThrowIfNull(target);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_ring.TryTakeId(out ushort id))
            return false;
        _tags[id] = tag;
        _ring.Put(new NvmeSubmission { Opcode = NvmeOpcode.Flush, CommandId = id, NamespaceId = target.Id });
        return true;
    }

    /// <summary>Tells the controller of all commands that were put into the queue: one register write, however many they are.</summary>
    public void RingDoorbell()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _ring.RingDoorbell();
    }

    /// <summary>Takes what is over, without waiting; one register write, however many they are.</summary>
    /// <returns>How many; 0 when nothing is over.</returns>
    /// <exception cref="VfioException">EPROTO: the controller completed what it was not asked.</exception>
    public int Poll(Span<NvmeCompleted> completed)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        int count = 0;
        while (count < completed.Length && _ring.TryTake(out NvmeCompletion completion))
        {
            NvmeStatus status = new((uint)completion.PhaseAndStatus >> 1);
            completed[count++] = new NvmeCompleted(_tags[completion.CommandId], status);
        }

        _ring.RingHead();
        return count;
    }

    /// <summary>Waits until something is over, and takes it: by the interrupt when there is one, else by spinning.</summary>
    /// <returns>How many, from 1; 0 when nothing is in flight.</returns>
    /// <exception cref="VfioException">ETIMEDOUT: nothing came within <see cref="NvmeOptions.CommandTimeout"/>; ENODEV: the controller is
    /// gone; EIO: it failed; EPROTO: it completed what it was not asked.</exception>
    public int Wait(Span<NvmeCompleted> completed)
    {
        int count = Poll(completed);
        if (count > 0 || InFlight == 0 || completed.IsEmpty)
            return count;
        NvmeWait wait = _controller.Control.BeginWait(Waiting, _controller.Options.CommandTimeout);
        while (true)
        {
            if (Interrupt is null)
                wait.SpinOnce();
            else
                Sleep(Interrupt);
            count = Poll(completed);
            if (count > 0)
                return count;
            wait.ThrowIfOver();
        }
    }

    /// <summary>Takes the queues away from the controller and frees their memory. What is in flight is lost.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _controller.Release(this);
        _sleep?.Dispose();
        _lists.Dispose();
        _ring.Dispose();
    }

    /// <summary>Sleeps until the interrupt comes, or it is time to check whether the controller is there.</summary>
    private void Sleep(Interrupt interrupt)
    {
        _sleep ??= new EventSleep(interrupt.Event, LivenessWait.CheckInterval);
        _sleep.Sleep();
        ObjectDisposedException.ThrowIf(interrupt.IsDisposed, interrupt);
    }

    private bool TryPut(byte opcode, NvmeNamespace target, long block, int blocks, DmaBuffer buffer, long offset, ulong tag)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(buffer);
        ObjectDisposedException.ThrowIf(_disposed, this);
        int bytes = target.CheckRange(block, blocks);
        if ((offset & 3) != 0 || offset < 0 || offset > buffer.Length - bytes)
            ThrowBadBuffer(buffer, offset, bytes);
        if (!_ring.TryTakeId(out ushort id))
            return false;
        NvmeSubmission command = new()
        {
            Opcode = opcode,
            CommandId = id,
            NamespaceId = target.Id,
            Dword10 = (uint)block,
            Dword11 = (uint)(block >> 32),
            Dword12 = (uint)(blocks - 1),
        };
        _lists.Describe(ref command, buffer.AddressOf(offset), bytes);
        _tags[id] = tag;
        _ring.Put(command);
        return true;
    }

    private static void ThrowBadBuffer(DmaBuffer buffer, long offset, int bytes) => throw new ArgumentOutOfRangeException(
        nameof(offset), $"{bytes} bytes at 0x{offset:x} of a DMA buffer of 0x{buffer.Length:x} bytes; the offset must be a multiple of 4");
}
