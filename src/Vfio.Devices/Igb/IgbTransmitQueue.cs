using System.Buffers.Binary;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>A transmit queue: a ring of legacy and advanced descriptors in the driver's memory.</summary>
/// <remarks>
/// <para>82576 Datasheet, section 7.2. Ring and buffers are the driver's, which may write there what it likes: no length of its is
/// trusted. A frame longer than <see cref="LongestPayload"/> is dropped as a whole.</para>
/// <para>By the thread of the transmit work.</para>
/// </remarks>
internal sealed class IgbTransmitQueue(RegisterFile<IgbRegister> registers, int number)
{
    /// <summary>Most bytes of one frame, or of the data and headers of one segmentation.</summary>
    internal const int LongestPayload = (64 << 10) + 512;

    private const int StatusOffset = 12, MostSteps = 256;
    private const uint Enable = 1u << 1;
    private const uint EndOfPacket = 1u << 24, InsertChecksum = 1u << 26, ReportStatus = 1u << 27;
    private const uint Extended = 1u << 29, InsertVlan = 1u << 30, Segment = 1u << 31;

    private const uint Done = 1;
    private const int ContextType = 2, DataType = 3;
    private readonly IgbRing _ring = new(
        registers.CellOf(IgbRegister.TransmitDescriptors, number),
        registers.CellOf(IgbRegister.TransmitLength, number),
        registers.CellOf(IgbRegister.TransmitHead, number),
        registers.CellOf(IgbRegister.TransmitTail, number),
        registers.CellOf(IgbRegister.TransmitBaseLow, number),
        registers.CellOf(IgbRegister.TransmitBaseHigh, number));

    private readonly RegisterCell _headAtHigh = registers.CellOf(IgbRegister.HeadWritebackHigh, number);
    private readonly RegisterCell _headAtLow = registers.CellOf(IgbRegister.HeadWritebackLow, number);
    private readonly RegisterCell _port = registers.CellOf(IgbRegister.TransmitControl);
    private readonly IgbOffload[] _contexts = new IgbOffload[2];
    private byte[]? _gathered;
    private int _length;
    private bool _isFirst = true, _isTooLong;
    private IgbOffload _offload;
    private bool _isSegmented;
    private ushort? _vlan;

    /// <summary>Its number.</summary>
    internal int Number => number;

    /// <summary>The frame of the last step that ended one. Each queue has its own: a frame that is not whole yet waits here.</summary>
    internal Span<byte> Gathered => _gathered;

    /// <summary>Has the next step begin anew; any thread.</summary>
    internal void Restart() => _ring.Restart();

    /// <summary>Takes descriptors up to the end of a frame, or until none is left.</summary>
    /// <param name="memory">The driver's.</param>
    internal Step Advance(IgbMemory memory)
    {
        if (_ring.TakeRestart())
            Forget();
        if (!_ring.IsEnabled || (_port.Value & Enable) == 0)
            return default;
        int count = _ring.Count;
        Step step = default;
        for (int i = 0; i < MostSteps; i++)
        {
            int head = _ring.Head;
            int tail = _ring.Tail;
            if (head == tail || head >= count || tail >= count)
                return step;
            if (!_ring.TryFetch(memory, head, tail, count, out ulong address, out ulong command))
                return step;
            step.IsAny = true;
            bool isEnd = Take(memory, address, command, ref step);
            int next = _ring.Advance(head, count);
            if (((uint)command & ReportStatus) != 0)
            {
                step.IsReported = true;
                Report(memory, head, next, command);
            }

            if (isEnd)
                return step;
        }

        return step;
    }

    // Whether the frame is whole; the step has it then.
    private bool Take(IgbMemory memory, ulong address, ulong command, ref Step step)
    {
        uint low = (uint)command;
        uint high = (uint)(command >> 32);
        bool isExtended = (low & Extended) != 0;
        int type = (int)(low >> 20 & 0xf);
        if (isExtended && type == ContextType)
        {
            _contexts[high >> 4 & 1] = IgbOffload.OfContext(address, command);
            return false;
        }

        if (isExtended && type != DataType)
            return false;
        int bytes = (int)(low & 0xffff);
        if (_isFirst)
            Begin(low, high, isExtended);
        if (bytes > LongestPayload - _length)
            _isTooLong = true;
        _gathered ??= new byte[LongestPayload];
        if (!_isTooLong && bytes > 0 && memory.Read(new Iova(address), _gathered.AsSpan(_length, bytes)) != Errno.None)
            _isTooLong = true;
        if (!_isTooLong)
            _length += bytes;
        if ((low & EndOfPacket) == 0)
            return false;
        if (!isExtended && (low & InsertChecksum) != 0)
            _offload = IgbOffload.OfLegacy(insertAt: (int)(low >> 16 & 0xff), from: (int)(high >> 8 & 0xff));
        if (!isExtended && (low & InsertVlan) != 0)
            _vlan = (ushort)(high >> 16);
        step.Length = _isTooLong ? 0 : _length;
        step.Offload = _offload;
        step.IsSegmented = _isSegmented;
        step.Vlan = _vlan;
        _length = 0;
        _isFirst = true;
        _isTooLong = false;
        return true;
    }

    private void Begin(uint low, uint high, bool isExtended)
    {
        _isFirst = false;
        _offload = default;
        _isSegmented = false;
        _vlan = null;
        if (!isExtended)
            return;
        IgbOffload context = _contexts[high >> 4 & 1];
        _isSegmented = (low & Segment) != 0;
        _offload = context.With(insertsIp: (high & 0x100) != 0, insertsTransport: (high & 0x200) != 0);
        if ((low & InsertVlan) != 0)
            _vlan = context.Vlan;
    }

    private void Report(IgbMemory memory, int head, int next, ulong command)
    {
        // TDWBAL bit 0: the head is written instead of a descriptor's status.
        ulong where = _headAtHigh.Value << 32 | _headAtLow.Value;
        Span<byte> value = stackalloc byte[sizeof(uint)];
        if ((where & 1) != 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(value, (uint)next);
            _ = memory.Write(new Iova(where & ~3UL), value);
            return;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(value, ((uint)command & Extended) != 0 ? Done : (uint)(command >> 32) | Done);
        _ = memory.Write(_ring.At(head, StatusOffset), value);
    }

    private void Forget()
    {
        _length = 0;
        _isFirst = true;
        _isTooLong = false;
    }

    /// <summary>What a step has found.</summary>
    internal struct Step
    {
        /// <summary>Whether there was a descriptor.</summary>
        internal bool IsAny;

        /// <summary>Whether a status was written.</summary>
        internal bool IsReported;

        /// <summary>Length of the whole frame; 0 when there is none.</summary>
        internal int Length;

        /// <summary>What is to be computed in it.</summary>
        internal IgbOffload Offload;

        /// <summary>Whether it is to be cut into segments.</summary>
        internal bool IsSegmented;

        /// <summary>The VLAN tag to insert.</summary>
        internal ushort? Vlan;
    }
}
