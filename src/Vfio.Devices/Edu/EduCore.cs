using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Edu;

/// <summary>The educational device without threads, bus and interrupts: an access in, effects out.</summary>
/// <remarks>Compatible with QEMU's <c>edu</c> in every register, also where its specification is silent. Two things are better defined
/// here: a transfer that does not fit the buffer, or that memory refuses, has no effect but its end. Not safe for two threads.</remarks>
internal sealed class EduCore
{
    /// <summary>28 bits.</summary>
    public const ulong DefaultDmaMask = (1UL << 28) - 1;

    /// <summary>Where the device's buffer is, as a DMA source or destination.</summary>
    public const ulong BufferAddress = 0x4_0000;

    /// <summary>Size of the device's buffer in bytes.</summary>
    public const int BufferLength = 0x1000;

    private const ulong Computing = 0x01, InterruptWhenComputed = 0x80;
    private const ulong Run = 0x01, ToMemory = 0x02, InterruptWhenMoved = 0x04;
    private const ulong ComputedCause = 0x001, MovedCause = 0x100;

    /// <summary>The first factorial that 2^32 divides: 34! has 32 factors of 2, and all after it have more.</summary>
    private const uint FirstVanishing = 34;

    private readonly ulong _dmaMask;
    private readonly byte[] _buffer = new byte[BufferLength];
    private readonly ulong[] _values = new ulong[EduRegisters.Map.Rows.Count];

    /// <summary>Makes a device as after power-on.</summary>
    /// <param name="dmaMask">The address bits that the DMA engine has; others are dropped.</param>
    public EduCore(ulong dmaMask = DefaultDmaMask)
    {
        EduRegisters.Map.ThrowIfWrong();
        _dmaMask = dmaMask;
        Reset();
    }

    /// <summary>Whether a cause is not acknowledged: the level of the interrupt pin.</summary>
    public bool IsInterrupting => At(EduRegister.InterruptStatus) != 0;

    /// <summary>The number whose factorial is wanted.</summary>
    public uint Operand => (uint)At(EduRegister.Factorial);

    /// <summary>The transfer that the registers ask for.</summary>
    public EduTransfer Transfer
    {
        get
        {
            bool toMemory = (At(EduRegister.DmaCommand) & ToMemory) != 0;
            ulong source = At(EduRegister.DmaSource);
            ulong destination = At(EduRegister.DmaDestination);
            ulong count = At(EduRegister.DmaCount);
            Iova memory = new((toMemory ? destination : source) & _dmaMask);

            // By subtraction: no sum of what a driver wrote can wrap. An address below the buffer is far above it here.
            ulong at = (toMemory ? source : destination) - BufferAddress;
            bool fits = at <= BufferLength && count <= BufferLength - at;
            return fits ? new(memory, (int)at, (int)count, toMemory) : new(memory, 0, 0, toMemory);
        }
    }

    /// <summary>A factorial modulo 2^32, as the device computes it.</summary>
    public static uint Factorial(uint number)
    {
        if (number >= FirstVanishing)
            return 0;
        uint result = 1;
        for (; number > 1; number--)
            result = unchecked(result * number);
        return result;
    }

    /// <summary>A read of BAR0.</summary>
    /// <param name="offset">A multiple of <paramref name="bytes"/>.</param>
    /// <param name="bytes">1, 2, 4 or 8.</param>
    /// <returns>The value; what is above its width is to be cut off. Zeros for a width below 4, ones where no register answers.</returns>
    public ulong Read(ulong offset, int bytes)
    {
        if (bytes < 4)
            return 0;
        return EduRegisters.TryFind(offset, bytes, out RegisterRow<EduRegister> row) ? At(row.Register) : ulong.MaxValue;
    }

    /// <summary>A write of BAR0.</summary>
    /// <param name="offset">A multiple of <paramref name="bytes"/>.</param>
    /// <param name="bytes">1, 2, 4 or 8.</param>
    /// <param name="value">The value.</param>
    public EduEffects Write(ulong offset, int bytes, ulong value)
    {
        if (!EduRegisters.TryFind(offset, bytes, out RegisterRow<EduRegister> row))
            return EduEffects.None;
        bool isComputing = (At(EduRegister.Status) & Computing) != 0;
        bool isMoving = (At(EduRegister.DmaCommand) & Run) != 0;
        switch (row.Register)
        {
            case EduRegister.InterruptRaise:
                return Raise(value);
            case EduRegister.InterruptAcknowledge:
                At(EduRegister.InterruptStatus) &= ~value;
                return IsInterrupting ? EduEffects.None : EduEffects.EndInterrupt;
            case EduRegister.Liveness:
                Store(row, ~value);
                return EduEffects.None;
            case EduRegister.Factorial when isComputing:
            case >= EduRegister.DmaSource when isMoving:
            case EduRegister.DmaCommand when (value & Run) == 0:
                return EduEffects.None;
            case EduRegister.Factorial:
                Store(row, value);
                At(EduRegister.Status) |= Computing;
                return EduEffects.ComputeFactorial;
            case EduRegister.DmaCommand:
                Store(row, value);
                return EduEffects.DoTransfer;
            default:
                Store(row, value);
                return EduEffects.None;
        }
    }

    /// <summary>The factorial is there.</summary>
    public EduEffects FinishFactorial(uint result)
    {
        At(EduRegister.Factorial) = result;
        At(EduRegister.Status) &= ~Computing;
        return (At(EduRegister.Status) & InterruptWhenComputed) != 0 ? Raise(ComputedCause) : EduEffects.None;
    }

    /// <summary>Copies the bytes of a transfer to memory out of the buffer.</summary>
    public void ReadBuffer(in EduTransfer transfer, Span<byte> destination) =>
        _buffer.AsSpan(transfer.At, transfer.Count).CopyTo(destination);

    /// <summary>The transfer is over.</summary>
    /// <param name="transfer">Which.</param>
    /// <param name="fetched">What memory gave, for a transfer from there; empty when it refused.</param>
    public EduEffects FinishTransfer(in EduTransfer transfer, ReadOnlySpan<byte> fetched)
    {
        fetched.CopyTo(_buffer.AsSpan(transfer.At, transfer.Count));
        At(EduRegister.DmaCommand) &= ~Run;
        return (At(EduRegister.DmaCommand) & InterruptWhenMoved) != 0 ? Raise(MovedCause) : EduEffects.None;
    }

    /// <summary>What the registers say is to be done yet.</summary>
    public EduEffects Unfinished =>
        ((At(EduRegister.Status) & Computing) != 0 ? EduEffects.ComputeFactorial : EduEffects.None)
        | ((At(EduRegister.DmaCommand) & Run) != 0 ? EduEffects.DoTransfer : EduEffects.None);

    /// <summary>Writes down registers and buffer.</summary>
    public void Save(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        foreach (ulong value in _values)
            state.Write(value);
        state.Write(_buffer);
    }

    /// <summary>Takes over registers and buffer.</summary>
    /// <returns>False when bytes are missing, or a register has a value that it never has.</returns>
    public bool TryRestore(ref StateReader state)
    {
        foreach (RegisterRow<EduRegister> row in EduRegisters.Map.Rows)
        {
            // Two registers have bits that only the device sets.
            ulong possible = row.Register switch
            {
                EduRegister.Status => row.Writable | Computing,
                EduRegister.InterruptStatus => uint.MaxValue,
                _ => row.Writable,
            };
            if (!state.TryRead(out ulong value) || ((value ^ row.Reset) & ~possible) != 0)
                return false;
            At(row.Register) = value;
        }

        if (!state.TryRead(BufferLength, out ReadOnlySpan<byte> buffer))
            return false;
        buffer.CopyTo(_buffer);
        return true;
    }

    /// <summary>Registers and buffer as after power-on.</summary>
    public void Reset()
    {
        Array.Clear(_buffer);
        foreach (RegisterRow<EduRegister> row in EduRegisters.Map.Rows)
            At(row.Register) = row.Reset;
    }

    private ref ulong At(EduRegister register) => ref _values[(int)register];

    private void Store(in RegisterRow<EduRegister> row, ulong value) =>
        At(row.Register) = (At(row.Register) & ~row.Writable) | (value & row.Writable);

    private EduEffects Raise(ulong causes)
    {
        At(EduRegister.InterruptStatus) |= (uint)causes;
        return IsInterrupting ? EduEffects.RaiseInterrupt : EduEffects.None;
    }
}
