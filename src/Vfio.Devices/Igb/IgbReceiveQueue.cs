using System.Buffers.Binary;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>A receive queue: a ring of legacy and advanced descriptors in the driver's memory.</summary>
/// <remarks>
/// <para>82576 Datasheet, section 7.1.3 to 7.1.5. A frame is put into as many buffers as it needs, its headers into one of their own
/// where SRRCTL says so. A buffer that memory refuses loses its part of the
/// frame.</para>
/// <para>By the thread of the receive work.</para>
/// </remarks>
internal sealed class IgbReceiveQueue(RegisterFile<IgbRegister> registers, int number)
{
    private const int DescriptorBytes = 16;
    private const uint DropWhenEmpty = 1u << 31;
    private const uint Legacy = 0, SplitHeader = 2, SplitAlways = 5;
    private const uint Done = 1, EndOfPacket = 2;
    private readonly IgbRing _ring = new(
        registers.CellOf(IgbRegister.ReceiveDescriptors, number),
        registers.CellOf(IgbRegister.ReceiveLength, number),
        registers.CellOf(IgbRegister.ReceiveHead, number),
        registers.CellOf(IgbRegister.ReceiveTail, number),
        registers.CellOf(IgbRegister.ReceiveBaseLow, number),
        registers.CellOf(IgbRegister.ReceiveBaseHigh, number));

    private readonly RegisterCell _split = registers.CellOf(IgbRegister.ReceiveSplit, number);
    private readonly RegisterCell _port = registers.CellOf(IgbRegister.ReceiveControl);
    private readonly RegisterCell _dropping = registers.CellOf(IgbRegister.QueueDrop);

    /// <summary>Its number.</summary>
    internal int Number => number;

    internal bool IsEnabled
    {
        get
        {
            _ring.TakeRestart();
            return _ring.IsEnabled;
        }
    }

    /// <summary>The most descriptors that are ever free.</summary>
    internal int Capacity => _ring.Count - 1;

    /// <summary>Whether frames are dropped when no descriptor is free, rather than kept in the packet buffer.</summary>
    internal bool DropsWhenEmpty => (_split.Value & DropWhenEmpty) != 0 || (_dropping.Value >> number & 1) != 0;

    /// <summary>How many descriptors are free.</summary>
    internal int Free
    {
        get
        {
            int head = _ring.Head;
            int tail = _ring.Tail;
            int count = _ring.Count;
            return head >= count || tail >= count ? 0 : tail >= head ? tail - head : count - head + tail;
        }
    }

    /// <summary>Whether so few descriptors are free that SRRCTL.RDMTS wants an interrupt.</summary>
    internal bool IsLow => Free < 16 * (int)(_split.Value >> 20 & 0x1f);

    private uint Kind => (uint)(_split.Value >> 25 & 7);

    // BSIZEPACKET in KiB, or when it is 0 RCTL.BSIZE.
    private int BufferBytes
    {
        get
        {
            int kilobytes = (int)(_split.Value & 0x7f);
            return kilobytes != 0 ? kilobytes << 10 : 2048 >> (int)(_port.Value >> 16 & 3);
        }
    }

    private int HeaderBytes => (int)(_split.Value >> 8 & 0x3f) * 64;

    /// <summary>Has the next frame begin anew; any thread.</summary>
    internal void Restart() => _ring.Restart();

    /// <summary>How many descriptors a frame takes.</summary>
    /// <param name="bytes">Its length.</param>
    /// <param name="headers">Length of its headers; 0 when they are not split off.</param>
    internal int Need(int bytes, int headers) => Math.Max(1, (bytes - headers + BufferBytes - 1) / BufferBytes);

    /// <summary>How much of a frame goes to a header buffer.</summary>
    internal int SplitAt(ReadOnlySpan<byte> frame, int headers)
    {
        uint kind = Kind;
        int room = HeaderBytes;
        if (kind == SplitAlways && headers == 0)
            return Math.Min(frame.Length, room);
        return kind is SplitHeader or SplitAlways && headers > 0 && headers <= room ? headers : 0;
    }

    /// <summary>Puts a frame into the ring, which has descriptors for it.</summary>
    internal void Put(IgbMemory memory, ReadOnlySpan<byte> frame, in IgbReceived received)
    {
        int split = received.HeaderBytes;
        ReadOnlySpan<byte> left = frame[split..];
        bool isFirst = true;
        int size = BufferBytes;
        while (true)
        {
            int head = _ring.Head;
            int count = _ring.Count;
            if (head >= count || !_ring.TryFetch(memory, head, _ring.Tail, count, out ulong buffer, out ulong header))
                return;
            int part = Math.Min(left.Length, size);
            if (isFirst && split > 0)
                _ = memory.Write(new Iova(header & ~1UL), frame[..split]);
            if (part > 0)
                _ = memory.Write(new Iova(buffer), left[..part]);
            left = left[part..];
            uint status = Done | (left.IsEmpty ? EndOfPacket : 0);
            WriteBack(memory, head, buffer, part, status, received, isFirst ? split : 0);
            _ring.Advance(head, count);
            isFirst = false;
            if (left.IsEmpty)
                return;
        }
    }

    // The half with the status is written last, and at once.
    private void WriteBack(IgbMemory memory, int head, ulong buffer, int length, uint status, in IgbReceived received, int split)
    {
        Span<byte> descriptor = stackalloc byte[DescriptorBytes];
        bool isLast = (status & EndOfPacket) != 0;
        if (Kind == Legacy)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(descriptor, buffer);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[8..], (ushort)length);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[10..], received.PacketChecksum);
            descriptor[12] = (byte)(status | (isLast ? received.Status : 0));
            descriptor[13] = (byte)(isLast ? received.Errors >> 24 : 0);
        }
        else
        {
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor, received.Types | (uint)split << 21 | (split > 0 ? 1u << 31 : 0));
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], received.Hash);
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], status | (isLast ? received.Status | received.Errors : 0));
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[12..], (ushort)length);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[14..], received.Vlan);
        _ = memory.Write(_ring.At(head), descriptor[..8]);
        _ = memory.Write(_ring.At(head, 8), descriptor[8..]);
    }
}
