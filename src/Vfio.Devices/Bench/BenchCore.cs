using Vfio.Guard;
using Vfio.Guard.Emulation;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Devices.Bench;

/// <summary>The benchmark device without bus, memory and interrupts: an access in, an effect out.</summary>
/// <remarks>Not safe for two threads.</remarks>
internal sealed class BenchCore
{
    private static readonly RegisterRow<BenchRegister>[] Rows = [.. BenchRegisters.Map.Rows];

    // Below are the registers that a write must leave as they are.
    private static readonly ulong FirstWritable = Rows.First(row => row.Writable != 0).Offset;

    private readonly byte[] _bytes = new byte[BenchRegisters.BarLength];

    /// <summary>Makes a device as after power-on.</summary>
    public BenchCore()
    {
        BenchRegisters.Map.ThrowIfWrong();
        Reset();
    }

    /// <summary>The transfer that the registers ask for.</summary>
    public BenchTransfer Transfer => new(
        (BenchOperation)this[BenchRegister.DmaGo],
        this[BenchRegister.DmaAddress],
        this[BenchRegister.DmaLength],
        Math.Max(1, (uint)this[BenchRegister.DmaRepeat]),
        this[BenchRegister.DmaStride],
        this[BenchRegister.DmaSpan]);

    /// <summary>The value of a register as the device keeps it.</summary>
    public ulong this[BenchRegister register]
    {
        get
        {
            ref readonly RegisterRow<BenchRegister> row = ref Rows[(int)register];
            return row.Bytes == 8
                ? Blittable.Read<ulong>(_bytes.AsSpan((int)row.Offset))
                : Blittable.Read<uint>(_bytes.AsSpan((int)row.Offset));
        }

        set
        {
            ref readonly RegisterRow<BenchRegister> row = ref Rows[(int)register];
            if (row.Bytes == 8)
                Blittable.Write(_bytes.AsSpan((int)row.Offset), value);
            else
                Blittable.Write(_bytes.AsSpan((int)row.Offset), (uint)value);
        }
    }

    /// <summary>Whether an access of BAR0 touches a register.</summary>
    /// <param name="register">Which register.</param>
    /// <param name="offset">Where the access starts.</param>
    /// <param name="count">How many bytes it has.</param>
    public static bool Touches(BenchRegister register, ulong offset, int count)
    {
        ref readonly RegisterRow<BenchRegister> row = ref Rows[(int)register];
        return offset < row.End && row.Offset < offset + (ulong)count;
    }

    /// <summary>A read of BAR0.</summary>
    /// <param name="offset">Where; the range is inside the BAR.</param>
    /// <param name="destination">Where the bytes go.</param>
    public void Read(ulong offset, Span<byte> destination) => _bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);

    /// <summary>A write of BAR0: one more in <see cref="BenchRegister.WriteCount"/>, however long it is.</summary>
    /// <param name="offset">Where; the range is inside the BAR.</param>
    /// <param name="source">The bytes.</param>
    public BenchEffects Write(ulong offset, ReadOnlySpan<byte> source)
    {
        ulong writes = this[BenchRegister.WriteCount] + 1;
        source.CopyTo(_bytes.AsSpan((int)offset));
        this[BenchRegister.WriteCount] = writes;
        if (offset < FirstWritable)
            RestoreFixed();

        return IsWhole(BenchRegister.Interrupt, offset, source.Length) ? BenchEffects.Signal
            : IsWhole(BenchRegister.DmaGo, offset, source.Length) ? BenchEffects.Move
            : BenchEffects.None;
    }

    /// <summary>The transfer is over.</summary>
    public void Finish(in BenchResult result)
    {
        this[BenchRegister.DmaStatus] = (ulong)result.Status;
        this[BenchRegister.DmaSegments] = (ulong)result.Segments;
        this[BenchRegister.DmaBytes] = result.Bytes;
        this[BenchRegister.DmaNanoseconds] = result.Nanoseconds;
    }

    /// <summary>Writes down all of BAR0.</summary>
    public void Save(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.Write(_bytes);
    }

    /// <summary>Takes over what <see cref="Save"/> wrote, or what somebody made up: a driver may write nearly all of it anyway.</summary>
    /// <returns>False when it is not all there; nothing is changed then.</returns>
    public bool TryRestore(ref StateReader state)
    {
        if (!state.TryRead(_bytes.Length, out ReadOnlySpan<byte> saved))
            return false;
        saved.CopyTo(_bytes);
        RestoreFixed();
        return true;
    }

    /// <summary>Registers and memory as after power-on.</summary>
    public void Reset()
    {
        Array.Clear(_bytes);
        foreach (RegisterRow<BenchRegister> row in Rows)
            this[row.Register] = row.Reset;
    }

    private void RestoreFixed()
    {
        this[BenchRegister.Magic] = Rows[(int)BenchRegister.Magic].Reset;
        this[BenchRegister.Version] = Rows[(int)BenchRegister.Version].Reset;
    }

    private static bool IsWhole(BenchRegister register, ulong offset, int count)
    {
        ref readonly RegisterRow<BenchRegister> row = ref Rows[(int)register];
        return offset == row.Offset && count == row.Bytes;
    }
}
