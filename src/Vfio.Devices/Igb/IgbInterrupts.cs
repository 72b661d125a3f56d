using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>The interrupt logic: causes, masks, vectors, and the time between two interrupts.</summary>
/// <remarks>
/// <para>82576 Datasheet, sections 7.3 and 8.8. With GPIE.Multiple_MSIX each queue raises the vector of its entry in IVAR, and other
/// causes raise that of IVAR_MISC; without it all causes are one message, or the pin, and ICR says which.</para>
/// <para>Any thread. A method that may lead to interrupts returns the vectors to send, one bit each: the caller sends them without a
/// lock, by <see cref="DeviceWork"/> or by the function, so that a reset drops what abandoned work would send.</para>
/// </remarks>
internal sealed class IgbInterrupts(RegisterFile<IgbRegister> registers, IgbStatistics statistics, TimeProvider clock) : IIgbInterrupts
{
    /// <summary>Causes in ICR.</summary>
    internal const uint TransmitDone = 1u << 0, LinkChange = 1u << 2, BelowThreshold = 1u << 4, ReceiveDone = 1u << 7, Mailbox = 1u << 8,
        MdiDone = 1u << 9, WrongSender = 1u << 28;

    /// <summary>The bits of ICR, ICS and IMS that there are.</summary>
    internal const uint MaskableCauses = 0x77d4_fbfd;

    private const uint Asserted = 1u << 31, Other = 1u << 31;
    private const uint VectorCauses = 0x01ff_ffff, QueueCauses = 0xc000_ffff;
    private const uint ClearsWhenRead = 1u << 0, PerCause = 1u << 4, MasksByMessage = 1u << 30;
    private const uint Valid = 0x80, VectorMask = 0x1f;

    private readonly Lock _lock = new();
    private readonly IgbModeration _moderation = new(
        [.. Enumerable.Range(0, IgbRegisters.Vectors).Select(vector => registers.CellOf(IgbRegister.Throttle, vector))], clock);

    private uint _causes, _mask, _vectors, _vectorMask;

    /// <summary>Whether the pin is to be up: without GPIE.Multiple_MSIX, while a cause is not masked.</summary>
    internal bool IsPinUp
    {
        get
        {
            lock (_lock)
                return !IsPerCause && (_causes & _mask) != 0;
        }
    }

    /// <summary>GPIE.Multiple_MSIX: each cause has its vector.</summary>
    internal bool IsPerCause => (registers[IgbRegister.InterruptEnable] & PerCause) != 0;

    private uint KnownVectors => IsPerCause ? VectorCauses : QueueCauses;

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock)
        {
            _causes = _mask = _vectors = _vectorMask = 0;
            _moderation.Reset();
        }
    }

    /// <inheritdoc/>
    public uint RaiseQueues(uint received, uint sent)
    {
        if ((received | sent) == 0)
            return 0;
        lock (_lock)
        {
            uint old = _vectors & _vectorMask;
            uint oldCauses = _causes & _mask;
            for (int queue = 0; queue < IgbRegisters.Queues; queue++)
            {
                // Queue n and n + 8 share a register: receive and transmit of the one, then of the other.
                uint allocation = (uint)registers[IgbRegister.VectorAllocation, queue & 7] >> (queue < 8 ? 0 : 16);
                if ((received >> queue & 1) != 0)
                    AddVector(allocation);
                if ((sent >> queue & 1) != 0)
                    AddVector(allocation >> 8);
            }

            if (IsPerCause)
                return Send(_vectors & _vectorMask & ~old);
            _causes |= (received != 0 ? ReceiveDone : 0) | (sent != 0 ? TransmitDone : 0);
            return SendLegacy(oldCauses, old);
        }
    }

    /// <inheritdoc/>
    public uint Raise(uint causes)
    {
        lock (_lock)
        {
            uint old = _causes & _mask;
            _causes |= causes;
            return SendNew(old);
        }
    }

    /// <summary>A write of IMS: unmasks causes.</summary>
    internal uint Unmask(uint causes)
    {
        lock (_lock)
        {
            uint old = _causes & _mask;
            _mask |= causes & MaskableCauses;
            return SendNew(old);
        }
    }

    /// <summary>A write of IMC: masks causes.</summary>
    internal void Mask(uint causes)
    {
        lock (_lock)
            _mask &= ~causes;
    }

    /// <summary>A write of EICS: raises vectors.</summary>
    internal uint RaiseVectors(uint vectors)
    {
        lock (_lock)
        {
            uint old = _vectors & _vectorMask;
            _vectors |= vectors & KnownVectors;
            return SendVectors(old);
        }
    }

    /// <summary>A write of EIMS: unmasks vectors.</summary>
    internal uint UnmaskVectors(uint vectors)
    {
        lock (_lock)
        {
            uint old = _vectors & _vectorMask;
            _vectorMask |= vectors & KnownVectors;
            return SendVectors(old);
        }
    }

    /// <summary>A write of EIMC: masks vectors.</summary>
    internal void MaskVectors(uint vectors)
    {
        lock (_lock)
            _vectorMask &= ~vectors;
    }

    /// <summary>What IMS reads as.</summary>
    internal uint ReadMask()
    {
        lock (_lock)
            return _mask;
    }

    /// <summary>What EIMS reads as.</summary>
    internal uint ReadVectorMask()
    {
        lock (_lock)
            return _vectorMask;
    }

    /// <summary>A read of ICR, which clears it when an interrupt is asserted, nothing is enabled, or GPIE.NSICR says so.</summary>
    internal uint ReadCauses()
    {
        lock (_lock)
        {
            bool isAsserted = (_causes & _mask) != 0;
            uint value = _causes | (isAsserted && !IsPerCause ? Asserted : 0);
            bool always = (registers[IgbRegister.InterruptEnable] & ClearsWhenRead) != 0;
            bool masks = always || isAsserted;
            if (always || isAsserted || _mask == 0 || !IsPerCause)
                Clear(uint.MaxValue);
            if (masks)
                _mask &= ~(uint)registers[IgbRegister.InterruptAutoMask];
            return value;
        }
    }

    /// <summary>A write of ICR: clears those causes.</summary>
    internal void ClearCauses(uint causes)
    {
        lock (_lock)
        {
            bool isAsserted = (_causes & _mask) != 0;
            Clear(causes);
            if (isAsserted || (registers[IgbRegister.InterruptEnable] & ClearsWhenRead) != 0)
                _mask &= ~(uint)registers[IgbRegister.InterruptAutoMask];
        }
    }

    /// <summary>A read of EICR, which clears it.</summary>
    internal uint ReadVectors()
    {
        lock (_lock)
        {
            uint value = _vectors;
            MaskByAccess(value);
            _vectors = 0;
            return value;
        }
    }

    /// <summary>A write of EICR: clears those vectors.</summary>
    internal void ClearVectors(uint vectors)
    {
        lock (_lock)
        {
            MaskByAccess(_vectors & vectors);
            _vectors &= ~vectors;
        }
    }

    /// <inheritdoc/>
    public uint SendDue(out TimeSpan? wait)
    {
        lock (_lock)
        {
            uint vectors = _moderation.TakeDue();
            if (IsPerCause)
                vectors &= _vectors & _vectorMask;
            else if ((_causes & _mask) == 0 && (_vectors & _vectorMask) == 0)
                vectors = 0;
            uint sent = Send(vectors);
            wait = _moderation.UntilNext();
            return sent;
        }
    }

    /// <inheritdoc/>
    public bool HasDue => _moderation.HasDue;

    private void AddVector(uint allocation)
    {
        uint vector = allocation & VectorMask;
        if ((allocation & Valid) != 0)
            _vectors |= 1u << (int)vector & (IsPerCause ? VectorCauses : 0xffff);
    }

    private uint SendNew(uint old)
    {
        uint added = _causes & _mask & ~old;
        if (added == 0)
            return 0;
        if (!IsPerCause)
            return SendLegacy(old, _vectors & _vectorMask);
        uint oldVectors = _vectors & _vectorMask;
        uint allocation = (uint)registers[IgbRegister.VectorAllocationOther];
        AddVector(allocation >> 8);
        return Send(_vectors & _vectorMask & ~oldVectors);
    }

    private uint SendVectors(uint old) =>
        IsPerCause ? Send(_vectors & _vectorMask & ~old) : SendLegacy(_causes & _mask, old);

    // One message for all causes: vector 0, whether of MSI-X, MSI or the pin.
    private uint SendLegacy(uint oldCauses, uint oldVectors)
    {
        uint added = _causes & _mask & ~oldCauses;
        if (added != 0)
            _vectors |= Other;
        added |= _vectors & _vectorMask & ~oldVectors;
        return added != 0 ? Send(1) : 0;
    }

    private uint Send(uint vectors)
    {
        uint sent = _moderation.Admit(vectors & VectorCauses);
        if (sent == 0)
            return 0;
        statistics.Count(IgbStatistic.Interrupts, (ulong)System.Numerics.BitOperations.PopCount(sent));
        if (!IsPerCause)
            return sent;
        _vectors &= ~(sent & (uint)registers[IgbRegister.VectorAutoClear]);
        if ((registers[IgbRegister.InterruptEnable] & MasksByMessage) != 0)
            _vectorMask &= ~(sent & (uint)registers[IgbRegister.VectorAutoMask]);
        return sent;
    }

    private void Clear(uint causes)
    {
        _causes &= ~causes;
        if ((_causes & _mask) == 0 && !IsPerCause)
            _vectors &= ~Other;
    }

    private void MaskByAccess(uint vectors)
    {
        if ((registers[IgbRegister.InterruptEnable] & MasksByMessage) == 0)
            _vectorMask &= ~(vectors & (uint)registers[IgbRegister.VectorAutoMask]);
    }
}
