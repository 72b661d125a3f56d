using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Drivers.Nvme;

/// <summary>A submission queue and its completion queue, in memory that this process and the controller share.</summary>
/// <remarks>One thread at a time. Nothing is allocated once it is made.</remarks>
internal sealed class NvmeRing : IDisposable
{
    private const int SubmissionBytes = 64, CompletionBytes = 16, StatusOffset = 12;
    private readonly NvmeControl _control;
    private readonly NvmeShadowDoorbells? _shadow;
    private readonly int _queue;
    private readonly long _tailDoorbell, _headDoorbell;
    private readonly DmaBuffer _submissions, _completions;
    private readonly ushort[] _freeIds;
    private readonly bool[] _inFlight;
    private int _freeCount, _tail, _rungTail, _head, _rungHead;
    private uint _phase = 1;

    /// <summary>Makes empty queues; the controller does not know them yet.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="control">Where the doorbells are.</param>
    /// <param name="queue">Which queue: 0 for the admin queues.</param>
    /// <param name="entries">2 to 65536. One stays empty, so that a full queue is not taken for an empty one.</param>
    internal NvmeRing(PciDevice device, NvmeControl control, int queue, int entries)
    {
        _control = control;
        _tailDoorbell = control.TailDoorbell(queue);
        _headDoorbell = _tailDoorbell + control.Capabilities.DoorbellStrideBytes;
        Entries = entries;
        _queue = queue;
        _shadow = queue > 0 && control.Shadow is { } shadow && shadow.Has(queue) ? shadow : null;
        _shadow?.Start(queue);
        _freeCount = entries - 1;
        _inFlight = new bool[entries - 1];
        _freeIds = [.. Enumerable.Range(0, entries - 1).Reverse().Select(id => (ushort)id)];
        _submissions = device.AllocateDma((long)entries * SubmissionBytes, DmaAccess.Read);
        try
        {
            _completions = device.AllocateDma((long)entries * CompletionBytes);
        }
        catch
        {
            _submissions.Dispose();
            throw;
        }
    }

    internal int Entries { get; }

    internal Iova Submissions => _submissions.Start;

    internal Iova Completions => _completions.Start;

    internal int InFlight => _inFlight.Length - _freeCount;

    /// <summary>Takes a command id that is not in flight.</summary>
    /// <returns>False when all are.</returns>
    internal bool TryTakeId(out ushort id)
    {
        if (_freeCount == 0)
        {
            id = 0;
            return false;
        }

        id = _freeIds[--_freeCount];
        return true;
    }

    /// <summary>Puts a command into the queue; the controller sees it after <see cref="RingDoorbell"/>.</summary>
    /// <param name="command">With an id of <see cref="TryTakeId"/>: there are fewer ids than entries, so an entry is free.</param>
    internal void Put(in NvmeSubmission command)
    {
        _inFlight[command.CommandId] = true;
        _submissions.Write((long)_tail * SubmissionBytes, command);
        _tail = _tail + 1 == Entries ? 0 : _tail + 1;
    }

    /// <summary>Tells the controller of all commands since the last time, at the price of one register at most.</summary>
    internal void RingDoorbell()
    {
        if (_tail == _rungTail)
            return;
        if (_shadow is null || _shadow.Write(2 * _queue, _rungTail, _tail))
            _control.Registers.Write32(_tailDoorbell, (uint)_tail);
        _rungTail = _tail;
    }

    /// <summary>Takes the next completion, if there is one; its id is free again.</summary>
    /// <exception cref="VfioException">EPROTO: the controller completed what it was not asked.</exception>
    internal bool TryTake(out NvmeCompletion completion)
    {
        completion = default;
        long at = (long)_head * CompletionBytes;

        // The phase tag first: it is written with the rest of its dword, and after all the others.
        uint last = _completions.Read32(at + StatusOffset);
        if ((last >> 16 & 1) != _phase)
            return false;
        _completions.Read(at, Blittable.AsBytes(ref completion));
        ushort id = completion.CommandId;
        if (id >= _inFlight.Length || !_inFlight[id])
        {
            throw new VfioException(
                $"completion of command {id}", _control.Name, Errno.Protocol, $"it is not in flight; {InFlight} others are");
        }

        _inFlight[id] = false;
        _freeIds[_freeCount++] = id;
        if (++_head == Entries)
        {
            _head = 0;
            _phase ^= 1;
        }

        return true;
    }

    /// <summary>Tells the controller how many completions were taken, at the price of one register at most.</summary>
    internal void RingHead()
    {
        if (_head == _rungHead)
            return;
        if (_shadow is null || _shadow.Write((2 * _queue) + 1, _rungHead, _head))
            _control.Registers.Write32(_headDoorbell, (uint)_head);
        _rungHead = _head;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _submissions.Dispose();
        _completions.Dispose();
    }
}
