using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>The interrupt logic of a virtual function: its queues and its mailbox raise three vectors.</summary>
/// <remarks>82576 Datasheet, sections 7.3 and 8.28. A vector that VTIVAR does not have is not raised.</remarks>
/// <param name="registers">The function's.</param>
/// <param name="number">Which virtual function it is.</param>
/// <param name="clock">The time.</param>
internal sealed class IgbVirtualInterrupts(RegisterFile<IgbVirtualRegister> registers, int number, TimeProvider clock) : IIgbInterrupts
{
    private const uint Valid = 0x80, VectorMask = 3, Known = (1 << IgbVirtualRegisters.Vectors) - 1;

    private readonly Lock _lock = new();
    private readonly IgbModeration _moderation = new(
        [.. Enumerable.Range(0, IgbVirtualRegisters.Vectors).Select(vector => registers.CellOf(IgbVirtualRegister.Throttle, vector))], clock);

    private uint _vectors, _mask;

    /// <inheritdoc/>
    public bool HasDue => _moderation.HasDue;

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock)
        {
            _vectors = _mask = 0;
            _moderation.Reset();
        }
    }

    /// <inheritdoc/>
    public uint RaiseQueues(uint received, uint sent)
    {
        uint vectors = 0;
        uint allocation = (uint)registers[IgbVirtualRegister.VectorAllocation];
        for (int i = 0; i < IgbVirtualRegisters.Queues; i++)
        {
            int queue = number + (IgbRegisters.Pools * i);
            if ((received >> queue & 1) != 0)
                vectors |= VectorOf(allocation >> (16 * i));
            if ((sent >> queue & 1) != 0)
                vectors |= VectorOf(allocation >> ((16 * i) + 8));
        }

        return RaiseVectors(vectors);
    }

    /// <inheritdoc/>
    public uint Raise(uint causes) =>
        (causes & IgbInterrupts.Mailbox) == 0 ? 0 : RaiseVectors(VectorOf((uint)registers[IgbVirtualRegister.VectorAllocationOther]));

    /// <inheritdoc/>
    public uint SendDue(out TimeSpan? wait)
    {
        lock (_lock)
        {
            uint sent = Send(_moderation.TakeDue() & _vectors & _mask);
            wait = _moderation.UntilNext();
            return sent;
        }
    }

    /// <summary>A write of VTEICS.</summary>
    internal uint RaiseVectors(uint vectors)
    {
        lock (_lock)
        {
            uint old = _vectors & _mask;
            _vectors |= vectors & Known;
            return Send(_vectors & _mask & ~old);
        }
    }

    /// <summary>A write of VTEIMS.</summary>
    internal uint Unmask(uint vectors)
    {
        lock (_lock)
        {
            uint old = _vectors & _mask;
            _mask |= vectors & Known;
            return Send(_vectors & _mask & ~old);
        }
    }

    /// <summary>A write of VTEIMC.</summary>
    internal void Mask(uint vectors)
    {
        lock (_lock)
            _mask &= ~vectors;
    }

    /// <summary>What VTEIMS reads as.</summary>
    internal uint ReadMask()
    {
        lock (_lock)
            return _mask;
    }

    /// <summary>A read of VTEICR, which clears it.</summary>
    internal uint ReadVectors()
    {
        lock (_lock)
        {
            uint value = _vectors;
            _vectors = 0;
            return value;
        }
    }

    /// <summary>A write of VTEICR: clears those vectors.</summary>
    internal void ClearVectors(uint vectors)
    {
        lock (_lock)
            _vectors &= ~vectors;
    }

    private static uint VectorOf(uint allocation) => (allocation & Valid) != 0 ? 1u << (int)(allocation & VectorMask) & Known : 0;

    private uint Send(uint vectors)
    {
        uint sent = _moderation.Admit(vectors);
        _vectors &= ~(sent & (uint)registers[IgbVirtualRegister.VectorAutoClear]);
        _mask &= ~(sent & (uint)registers[IgbVirtualRegister.VectorAutoMask]);
        return sent;
    }
}
