using System.Diagnostics.CodeAnalysis;
using Vfio.Drivers.Ethernet;
using Vfio.Native;
using Vfio.Native.Memory;
using static Vfio.Drivers.Igb.IgbRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>A transmit queue: frames on their way, in memory that this process and the device share.</summary>
/// <remarks>
/// <para>Advanced transmit data descriptors, 82576 Datasheet, section 7.2.2.3. The device reports only the last frame of a batch, so
/// that a batch costs one write of its; frames are sent in order, so all before it are sent too.</para>
/// <para>One thread at a time. Nothing is allocated once it is made.</para>
/// </remarks>
internal sealed class IgbTransmitRing : IDisposable
{
    private const int StatusOffset = 12, ShortestFrame = 14, ShortestOnWire = 60, CopiedAtOnce = 32;
    private const uint DescriptorDone = 1;

    // DTYP 3, a data descriptor, in bits 23:20; then of DCMD: EOP, IFCS (insert the frame check sequence), DEXT.
    private const uint WholeFrame = 0x2330_0000;

    // Of DCMD: RS, report status.
    private const uint Report = 0x0800_0000;

    private readonly Bar _registers;
    private readonly string _name;
    private readonly long _queue;
    private readonly EthernetBuffers _buffers;
    private readonly DmaBuffer _descriptors;
    private readonly int _longestFrame;
    private readonly int[] _sending;
    private readonly int[] _lastOfBatch;
    private readonly IgbDescriptor[] _batch = new IgbDescriptor[CopiedAtOnce];
    private readonly int _mask;
    private int _head, _tail;

    /// <summary>Makes an empty ring; the device does not know it yet.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="registers">BAR0.</param>
    /// <param name="queue">Where the queue's registers start.</param>
    /// <param name="buffers">Where frames are.</param>
    /// <param name="entries">A power of two.</param>
    /// <param name="longestFrame">In bytes.</param>
    internal IgbTransmitRing(PciDevice device, Bar registers, long queue, EthernetBuffers buffers, int entries, int longestFrame)
    {
        _registers = registers;
        _name = device.Name;
        _queue = queue;
        _buffers = buffers;
        _longestFrame = longestFrame;
        _sending = new int[entries];
        _lastOfBatch = new int[entries];
        _mask = entries - 1;
        _descriptors = device.AllocateDma((long)entries * DescriptorBytes);
    }

    private int Room => _mask - ((_tail - _head) & _mask);

    /// <summary>Tells the device of the ring.</summary>
    internal void Start() =>
        IgbQueue.Start(_registers, _name, _queue, _descriptors, _mask + 1, IgbQueueRegisters.TransmitThresholds);

    /// <summary>Sends frames, at the price of one register.</summary>
    /// <returns>How many of them, from the first.</returns>
    internal int Transmit(ReadOnlySpan<EthernetFrame> frames)
    {
        if (Room < frames.Length)
            Reap();
        int count = Math.Min(frames.Length, Room);
        if (count == 0)
            return 0;
        int first = _tail;
        int tail = first;
        for (int done = 0; done < count;)
        {
            int part = Math.Min(Math.Min(count - done, CopiedAtOnce), _sending.Length - tail);
            Put(frames, done, part, tail, isLast: done + part == count);
            done += part;
            tail = (tail + part) & _mask;
        }

        _lastOfBatch[first] = (tail - 1) & _mask;
        _tail = tail;
        _registers.Write32(_queue + IgbQueueRegisters.Tail, (uint)tail);
        return count;
    }

    /// <summary>Frees the buffers of what was sent.</summary>
    internal void Reap()
    {
        while (_head != _tail)
        {
            int last = _lastOfBatch[_head];
            if ((_descriptors.Read32(((long)last * DescriptorBytes) + StatusOffset) & DescriptorDone) == 0)
                return;
            if (last < _head)
            {
                _buffers.Free(_sending.AsSpan(_head));
                _head = 0;
            }

            _buffers.Free(_sending.AsSpan(_head, last + 1 - _head));
            _head = (last + 1) & _mask;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptors.Dispose();

    // Takes a part of the frames that does not go over the end of the ring from the caller, and writes their descriptors.
    private void Put(ReadOnlySpan<EthernetFrame> frames, int first, int count, int tail, bool isLast)
    {
        ReadOnlySpan<EthernetFrame> part = frames.Slice(first, count);
        int taken = TakeBack(part, _sending.AsSpan(tail, count), out int shortest);
        if (taken < count)
            Refuse(frames, first + taken);
        if (shortest < ShortestOnWire)
            Pad(part);
        Span<IgbDescriptor> batch = _batch.AsSpan(0, count);
        ulong start = _buffers.Start.Value;
        for (int i = 0; i < part.Length; i++)
        {
            uint length = (uint)Math.Max(part[i].Length, ShortestOnWire);
            batch[i].Address = start + ((ulong)(uint)part[i].Buffer * EthernetBuffers.BufferBytes);
            batch[i].Command = (ulong)length << 46 | WholeFrame | length;
        }

        if (isLast)
            batch[^1].Command |= Report;
        _descriptors.Write((long)tail * DescriptorBytes, Blittable.AsBytes<IgbDescriptor>(batch));
    }

    private int TakeBack(ReadOnlySpan<EthernetFrame> frames, Span<int> buffers, out int shortest)
    {
        bool[] isAssigned = _buffers.IsAssigned;
        uint lengths = (uint)(_longestFrame - ShortestFrame);
        shortest = int.MaxValue;
        int count = 0;
        for (; count < frames.Length; count++)
        {
            int buffer = frames[count].Buffer;
            int length = frames[count].Length;
            if ((uint)(length - ShortestFrame) > lengths || (uint)buffer >= (uint)isAssigned.Length || !isAssigned[buffer])
                break;
            isAssigned[buffer] = false;
            buffers[count] = buffer;
            shortest = Math.Min(shortest, length);
        }

        return count;
    }

    // The device pads from 17 bytes on; what is left of an earlier frame must not go out.
    private void Pad(ReadOnlySpan<EthernetFrame> frames)
    {
        ReadOnlySpan<byte> zeros = stackalloc byte[ShortestOnWire];
        foreach (EthernetFrame frame in frames)
        {
            if (frame.Length < ShortestOnWire)
                _buffers.Write(frame, frame.Length, zeros[frame.Length..]);
        }
    }

    // Nothing was told to the device yet, so the frames before it are the caller's again.
    [DoesNotReturn]
    private void Refuse(ReadOnlySpan<EthernetFrame> frames, int index)
    {
        for (int i = 0; i < index; i++)
            _buffers.IsAssigned[frames[i].Buffer] = true;
        EthernetFrame frame = frames[index];
        if (frame.Length < ShortestFrame || frame.Length > _longestFrame)
        {
            throw new ArgumentOutOfRangeException(
                nameof(frames), $"frame {index} has {frame.Length} bytes; from {ShortestFrame} to {_longestFrame} can be sent");
        }

        EthernetBuffers.ThrowNotAssigned(frame.Buffer);
    }
}
