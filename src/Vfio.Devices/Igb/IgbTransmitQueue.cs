using System.Buffers.Binary;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>A transmit queue: a ring of legacy and advanced descriptors in the driver's memory.</summary>
/// <remarks>
/// <para>82576 Datasheet, section 7.2. Ring and buffers are the driver's, which may write there what it likes: each descriptor is read
/// once, and no length of its is trusted. A frame longer than <see cref="LongestPayload"/> is dropped as a whole. A ring that memory
/// refuses stops.</para>
/// <para>By the thread of the transmit work.</para>
/// </remarks>
internal sealed class IgbTransmitQueue(RegisterFile<IgbRegister> registers, int number)
{
    /// <summary>Most bytes of one frame, or of the data and headers of one segmentation.</summary>
    internal const int LongestPayload = (64 << 10) + 512;

    private const int DescriptorBytes = 16, StatusOffset = 12, Fetched = 16, MostSteps = 256;
    private const uint QueueEnable = 1u << 25, Enable = 1u << 1;
    private const uint EndOfPacket = 1u << 24, InsertChecksum = 1u << 26, ReportStatus = 1u << 27;
    private const uint Extended = 1u << 29, InsertVlan = 1u << 30, Segment = 1u << 31;

    private const uint Done = 1;
    private const int ContextType = 2, DataType = 3;
    private readonly RegisterCell _control = registers.CellOf(IgbRegister.TransmitDescriptors, number);
    private readonly RegisterCell _bytes = registers.CellOf(IgbRegister.TransmitLength, number);
    private readonly RegisterCell _head = registers.CellOf(IgbRegister.TransmitHead, number);
    private readonly RegisterCell _tail = registers.CellOf(IgbRegister.TransmitTail, number);
    private readonly RegisterCell _baseHigh = registers.CellOf(IgbRegister.TransmitBaseHigh, number);
    private readonly RegisterCell _baseLow = registers.CellOf(IgbRegister.TransmitBaseLow, number);
    private readonly RegisterCell _headAtHigh = registers.CellOf(IgbRegister.HeadWritebackHigh, number);
    private readonly RegisterCell _headAtLow = registers.CellOf(IgbRegister.HeadWritebackLow, number);
    private readonly RegisterCell _port = registers.CellOf(IgbRegister.TransmitControl);
    private readonly byte[] _fetched = new byte[Fetched * DescriptorBytes];
    private readonly IgbOffload[] _contexts = new IgbOffload[2];
    private int _fetchedAt, _fetchedCount;
    private int _length;
    private bool _isFirst = true, _isTooLong, _isStopped;
    private IgbOffload _offload;
    private bool _isSegmented;
    private ushort? _vlan;
    private volatile bool _isRestarted;

    /// <summary>Its number.</summary>
    internal int Number => number;

    /// <summary>Has the next step begin anew; any thread.</summary>
    internal void Restart() => _isRestarted = true;

    /// <summary>Takes descriptors up to the end of a frame, or until none is left.</summary>
    /// <param name="bus">Where memory is.</param>
    /// <param name="gathered">Where the frame is put together; kept from step to step while it is not whole.</param>
    internal Step Advance(IPciSlot bus, Span<byte> gathered)
    {
        if (_isRestarted)
            Forget();
        bool isEnabled = (_control.Value & QueueEnable) != 0
            && (_port.Value & Enable) != 0;
        int count = (int)(_bytes.Value / DescriptorBytes);
        if (!isEnabled || count == 0 || _isStopped)
            return default;
        Step step = default;
        for (int i = 0; i < MostSteps; i++)
        {
            int head = (int)_head.Value;
            int tail = (int)_tail.Value;
            if (head == tail || head >= count || tail >= count)
                return step;
            if (!TryFetch(bus, head, tail, count, out ulong address, out ulong command))
                return step;
            step.IsAny = true;
            bool isEnd = Take(bus, address, command, gathered, ref step);
            int next = head + 1 == count ? 0 : head + 1;
            _head.Set((ulong)next);
            if (((uint)command & ReportStatus) != 0)
            {
                step.IsReported = true;
                Report(bus, head, next, command);
            }

            if (isEnd)
                return step;
        }

        return step;
    }

    private bool TryFetch(IPciSlot bus, int head, int tail, int count, out ulong address, out ulong command)
    {
        int at = head - _fetchedAt;
        if (at < 0 || at >= _fetchedCount)
        {
            _fetchedAt = head;
            _fetchedCount = Math.Min((tail > head ? tail : count) - head, Fetched);
            Iova from = Base() + ((ulong)head * DescriptorBytes);
            if (bus.ReadMemory(from, _fetched.AsSpan(0, _fetchedCount * DescriptorBytes)) != Errno.None)
            {
                _fetchedCount = 0;
                _isStopped = true;
                address = command = 0;
                return false;
            }

            at = 0;
        }

        ReadOnlySpan<byte> descriptor = _fetched.AsSpan(at * DescriptorBytes, DescriptorBytes);
        address = BinaryPrimitives.ReadUInt64LittleEndian(descriptor);
        command = BinaryPrimitives.ReadUInt64LittleEndian(descriptor[8..]);
        if (at == _fetchedCount - 1)
            _fetchedCount = 0;
        return true;
    }

    private Iova Base() =>
        new(_baseHigh.Value << 32 | _baseLow.Value);

    // Whether the frame is whole; the step has it then.
    private bool Take(IPciSlot bus, ulong address, ulong command, Span<byte> gathered, ref Step step)
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
        if (bytes > gathered.Length - _length)
            _isTooLong = true;
        if (!_isTooLong && bytes > 0 && bus.ReadMemory(new Iova(address), gathered.Slice(_length, bytes)) != Errno.None)
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

    private void Report(IPciSlot bus, int head, int next, ulong command)
    {
        // TDWBAL bit 0: the head is written instead of a descriptor's status.
        ulong where = _headAtHigh.Value << 32 | _headAtLow.Value;
        Span<byte> value = stackalloc byte[sizeof(uint)];
        if ((where & 1) != 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(value, (uint)next);
            _ = bus.WriteMemory(new Iova(where & ~3UL), value);
            return;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(value, ((uint)command & Extended) != 0 ? Done : (uint)(command >> 32) | Done);
        _ = bus.WriteMemory(Base() + ((ulong)head * DescriptorBytes) + StatusOffset, value);
    }

    private void Forget()
    {
        _isRestarted = false;
        _fetchedCount = _length = 0;
        _isFirst = true;
        _isTooLong = _isStopped = false;
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
