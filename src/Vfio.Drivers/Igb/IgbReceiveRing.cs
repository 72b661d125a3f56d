using Vfio.Drivers.Ethernet;
using Vfio.Native;
using Vfio.Native.Memory;
using static Vfio.Drivers.Igb.IgbRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>A receive queue: buffers that wait for frames, in memory that this process and the device share.</summary>
/// <remarks>
/// <para>Advanced receive descriptors, 82576 Datasheet, section 7.1.5: the driver writes the buffer's address and 0, the device
/// writes back over both, with status, errors and length in the second half.</para>
/// <para>One thread at a time. Nothing is allocated once it is made.</para>
/// </remarks>
internal sealed class IgbReceiveRing : IDisposable
{
    private const ulong DescriptorDone = 1 << 0, EndOfPacket = 1 << 1, ReceiveError = 1UL << 31;

    // A doorbell costs more than a descriptor, and the device does not run dry meanwhile.
    private const int RefillAtOnce = 32;

    private readonly string _name;
    private readonly Bar _registers;
    private readonly long _queue;
    private readonly EthernetBuffers _buffers;
    private readonly DmaBuffer _descriptors;
    private readonly int[] _posted;
    private readonly IgbDescriptor[] _batch = new IgbDescriptor[RefillAtOnce];
    private readonly int _mask;
    private int _head, _tail;
    private bool _inLongFrame;

    /// <summary>Makes an empty ring; the device does not know it yet.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="registers">BAR0.</param>
    /// <param name="queue">Where the queue's registers start.</param>
    /// <param name="buffers">Where frames go.</param>
    /// <param name="entries">A power of two.</param>
    internal IgbReceiveRing(PciDevice device, Bar registers, long queue, EthernetBuffers buffers, int entries)
    {
        _name = device.Name;
        _registers = registers;
        _queue = queue;
        _buffers = buffers;
        _posted = new int[entries];
        _mask = entries - 1;
        _descriptors = device.AllocateDma((long)entries * DescriptorBytes);
    }

    /// <summary>Whether <see cref="Receive"/> would find something.</summary>
    internal bool HasFrame => _head != _tail && (_descriptors.Read64(StatusAt(_head)) & DescriptorDone) != 0;

    private int Missing => _mask - ((_tail - _head) & _mask);

    /// <summary>Tells the device of the ring, and gives it buffers.</summary>
    /// <param name="splitControl">More of SRRCTL.</param>
    internal void Start(uint splitControl)
    {
        IgbQueue.Start(
            _registers, _name, _queue, _descriptors, _mask + 1, IgbQueueRegisters.ReceiveThresholds,
            IgbQueueRegisters.OneBufferOf2KiB | splitControl);
        Refill();
    }

    /// <summary>Takes what was received; the device gets other buffers instead, at the price of at most one register.</summary>
    /// <exception cref="VfioException">EPROTO: the device says that it received more than a buffer holds.</exception>
    internal int Receive(Span<EthernetFrame> frames)
    {
        int count = 0;
        while (count < frames.Length && _head != _tail)
        {
            int run = Math.Min(frames.Length - count, (_tail > _head ? _tail : _posted.Length) - _head);
            int taken = _inLongFrame ? 0 : TakeWhole(frames.Slice(count, run));
            count += taken;
            _head = (_head + taken) & _mask;
            if (taken < run && !TrySkip())
                break;
        }

        if (Missing >= RefillAtOnce)
            Refill();
        return count;
    }

    /// <summary>Gives the device as many buffers as it has descriptors for, at the price of at most one register.</summary>
    internal void Refill()
    {
        int tail = _tail;
        for (int left = Missing; left > 0;)
        {
            Span<int> place = _posted.AsSpan(tail, Math.Min(Math.Min(left, _batch.Length), _posted.Length - tail));
            int count = _buffers.Take(place);
            if (count == 0)
                break;
            Post(tail, place[..count]);
            tail = (tail + count) & _mask;
            left -= count;
        }

        if (tail == _tail)
            return;
        _tail = tail;
        _registers.Write32(_queue + IgbQueueRegisters.Tail, (uint)tail);
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptors.Dispose();

    private void Post(int first, ReadOnlySpan<int> buffers)
    {
        Span<IgbDescriptor> batch = _batch;
        ulong start = _buffers.Start.Value;
        for (int i = 0; i < buffers.Length; i++)
            batch[i].Address = start + ((ulong)(uint)buffers[i] * EthernetBuffers.BufferBytes);
        _descriptors.Write((long)first * DescriptorBytes, Blittable.AsBytes<IgbDescriptor>(batch[..buffers.Length]));
    }

    private static long StatusAt(int entry) => ((long)entry * DescriptorBytes) + 8;

    // Takes frames that are in one buffer each and without error, until something else comes or the ring's end.
    private int TakeWhole(Span<EthernetFrame> frames)
    {
        DmaBuffer descriptors = _descriptors;
        bool[] isAssigned = _buffers.IsAssigned;
        ReadOnlySpan<int> posted = _posted.AsSpan(_head, frames.Length);
        long at = StatusAt(_head);
        int count = 0;
        for (; count < posted.Length; count++)
        {
            // Status and length in one read: the device writes DD after, or with, all the rest.
            ulong status = descriptors.Read64(at);
            uint length = LengthOf(status);
            if ((status & (DescriptorDone | EndOfPacket | ReceiveError)) != (DescriptorDone | EndOfPacket)
                || length > EthernetBuffers.BufferBytes)
            {
                break;
            }

            int buffer = posted[count];
            isAssigned[buffer] = true;
            frames[count] = new EthernetFrame(buffer, (int)length);
            at += DescriptorBytes;
        }

        return count;
    }

    // Frames that span buffers are longer than this driver allows, and those with errors are only there when somebody asked for them.
    private bool TrySkip()
    {
        ulong status = _descriptors.Read64(StatusAt(_head));
        if ((status & DescriptorDone) == 0)
            return false;
        bool isEnd = (status & EndOfPacket) != 0;
        uint length = LengthOf(status);
        bool isWhole = isEnd && !_inLongFrame && (status & ReceiveError) == 0;
        if (isWhole && length <= EthernetBuffers.BufferBytes)
            return true;
        _buffers.Free(_posted.AsSpan(_head, 1));
        _head = (_head + 1) & _mask;
        _inLongFrame = !isEnd;
        return length <= EthernetBuffers.BufferBytes ? true : throw new VfioException(
            "reception of a frame", _name, Errno.Protocol, $"{length} bytes in a buffer of {EthernetBuffers.BufferBytes}");
    }

    private static uint LengthOf(ulong status) => (uint)(status >> 32) & 0xffff;
}
