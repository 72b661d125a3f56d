using Vfio.Guard.Emulation;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard;

/// <summary>The registers of one instance of a device, as the content of a BAR: the values of a <see
/// cref="RegisterMap{TRegister}"/>.</summary>
/// <typeparam name="TRegister">The enumeration that names the registers.</typeparam>
/// <remarks>
/// <para>An access of any width and offset is split so that a handler sees whole registers, in ascending order and each once.</para>
/// <para>Every register is atomic by itself: the device's own threads may read, set and clear bits while the driver reads and
/// writes. Handlers are called one at a time, on the thread of the access.</para>
/// </remarks>
public sealed class RegisterFile<TRegister> : BarContent
    where TRegister : struct, Enum
{
    private readonly RegisterMap<TRegister> _map;
    private readonly RegisterRow<TRegister>[] _rows;
    private readonly ulong[] _values;
    private readonly Func<int, ulong, ulong>?[] _readers;
    private readonly Action<int, ulong>?[] _writers;
    private Forwarded?[]? _forwards;

    /// <summary>Makes registers with their reset values.</summary>
    /// <param name="map">The table; nothing is added to it later.</param>
    /// <exception cref="ArgumentException">The table has mistakes; the message names each row.</exception>
    public RegisterFile(RegisterMap<TRegister> map)
    {
        ArgumentNullException.ThrowIfNull(map);
        map.ThrowIfWrong();
        _map = map;
        _rows = [.. map.Rows];
        _values = new ulong[map.Slots];
        _readers = new Func<int, ulong, ulong>?[map.Slots];
        _writers = new Action<int, ulong>?[map.Slots];
        Reset();
    }

    /// <inheritdoc/>
    public override ulong Length => _map.Length;

    /// <summary>The value of a register as the device keeps it: no mask applies and no handler runs.</summary>
    public ulong this[TRegister register]
    {
        get => this[register, 0];
        set => this[register, 0] = value;
    }

    /// <summary>The value of one register of a series.</summary>
    public ulong this[TRegister register, int index]
    {
        get => Volatile.Read(ref _values[SlotOf(register, index)]);
        set => Volatile.Write(ref _values[SlotOf(register, index)], value);
    }

    /// <summary>The place of a register's value.</summary>
    internal RegisterCell CellOf(TRegister register, int index = 0) => new(_values, SlotOf(register, index));

    /// <summary>Sets bits of a register, in one atomic step.</summary>
    /// <returns>Its value before.</returns>
    public ulong Set(TRegister register, ulong bits) => Interlocked.Or(ref _values[SlotOf(register, 0)], bits);

    /// <summary>Clears bits of a register, in one atomic step.</summary>
    /// <returns>Its value before.</returns>
    public ulong Clear(TRegister register, ulong bits) => Interlocked.And(ref _values[SlotOf(register, 0)], ~bits);

    /// <summary>Adds to a register of a series in one atomic step, as a counter does.</summary>
    /// <param name="register">The series.</param>
    /// <param name="index">Which of it.</param>
    /// <param name="amount">What to add.</param>
    /// <param name="last">The largest value: it wraps when <paramref name="wraps"/>, else it stays there.</param>
    /// <param name="wraps">Whether it starts over.</param>
    /// <returns>Whether it wrapped, or is at its largest value.</returns>
    internal bool Count(TRegister register, int index, ulong amount, ulong last, bool wraps)
    {
        ref ulong value = ref _values[SlotOf(register, index)];
        ulong old;
        ulong sum;
        do
        {
            old = Volatile.Read(ref value);
            sum = amount > last - old ? (wraps ? amount - (last - old) - 1 : last) : old + amount;
        }
        while (Interlocked.CompareExchange(ref value, sum, old) != old);
        return amount > last - old;
    }

    /// <summary>Sets the handler of a register's reads.</summary>
    /// <param name="register">Which register.</param>
    /// <param name="handler">Takes the kept value and returns what the driver reads; may have effects.</param>
    public void OnRead(TRegister register, Func<ulong, ulong> handler) => OnRead(register, (_, value) => handler(value));

    /// <summary>Sets the handler of reads of a series.</summary>
    /// <param name="register">Which series.</param>
    /// <param name="handler">Takes the number in the series and the kept value, and returns what the driver reads; may have
    /// effects.</param>
    public void OnRead(TRegister register, Func<int, ulong, ulong> handler)
    {
        (int slot, int count) = _map.Registers[register];
        _readers.AsSpan(slot, count).Fill(handler);
    }

    /// <summary>Sets the handler of a register's writes, called after the masks were applied.</summary>
    /// <param name="register">Which register.</param>
    /// <param name="handler">Takes what was written, with its bits that are not writable. Bytes that a narrower write left out
    /// are the kept value's writable bits.</param>
    public void OnWrite(TRegister register, Action<ulong> handler) => OnWrite(register, (_, value) => handler(value));

    /// <summary>Sets the handler of writes of a series.</summary>
    /// <param name="register">Which series.</param>
    /// <param name="handler">Takes the number in the series, and what was written as for a single register.</param>
    public void OnWrite(TRegister register, Action<int, ulong> handler)
    {
        (int slot, int count) = _map.Registers[register];
        _writers.AsSpan(slot, count).Fill(handler);
    }

    /// <summary>Makes registers of a series those of another file: accesses go there, with the bytes that they have, and no handler of
    /// this file runs.</summary>
    /// <param name="register">Which series.</param>
    /// <param name="to">The other file.</param>
    /// <param name="there">Which series of it; of the same width.</param>
    /// <param name="numberOf">The number in that series, of a number in this one.</param>
    internal void Forward<TOther>(TRegister register, RegisterFile<TOther> to, TOther there, Func<int, int> numberOf)
        where TOther : struct, Enum
    {
        _forwards ??= new Forwarded?[_map.Slots];
        (int slot, int count) = _map.Registers[register];
        for (int i = 0; i < count; i++)
            _forwards[slot + i] = new Forwarded(to, to.PlaceOf(there, numberOf(i)));
    }

    /// <inheritdoc/>
    public override void Read(ulong offset, Span<byte> destination)
    {
        destination.Fill(_map.Unlisted);
        ulong end = offset + (ulong)destination.Length;
        for (int i = RegisterMap<TRegister>.FirstEndingAfter(_rows, offset); i < _rows.Length && _rows[i].Offset < end; i++)
        {
            ref readonly RegisterRow<TRegister> row = ref _rows[i];
            Overlap part = new(offset, end, row.Offset, row.End);
            if (_forwards?[row.Slot] is { } other)
            {
                other.To.Read(other.Place + (ulong)part.InRegister, destination.Slice(part.InAccess, part.Count));
                continue;
            }

            ulong cleared = row.Masks.ReadToClear;
            ulong value = cleared == 0 ? Volatile.Read(ref _values[row.Slot]) : Interlocked.And(ref _values[row.Slot], ~cleared);
            if (_readers[row.Slot] is { } reader)
                value = reader(row.Index, value);
            Blittable.AsBytes(ref value).Slice(part.InRegister, part.Count).CopyTo(destination[part.InAccess..]);
        }
    }

    /// <inheritdoc/>
    public override void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        ulong end = offset + (ulong)source.Length;
        for (int i = RegisterMap<TRegister>.FirstEndingAfter(_rows, offset); i < _rows.Length && _rows[i].Offset < end; i++)
        {
            Overlap part = new(offset, end, _rows[i].Offset, _rows[i].End);
            if (_forwards?[_rows[i].Slot] is { } other)
            {
                other.To.Write(other.Place + (ulong)part.InRegister, source.Slice(part.InAccess, part.Count));
                continue;
            }

            ulong written = 0;
            ulong covered = 0;
            source.Slice(part.InAccess, part.Count).CopyTo(Blittable.AsBytes(ref written)[part.InRegister..]);
            Blittable.AsBytes(ref covered).Slice(part.InRegister, part.Count).Fill(byte.MaxValue);
            Write(_rows[i], written, covered);
        }
    }

    /// <summary>Gives every register its reset value; no handler runs.</summary>
    public override void Reset()
    {
        foreach (ref readonly RegisterRow<TRegister> row in _rows.AsSpan())
            Volatile.Write(ref _values[row.Slot], row.Masks.Reset);
    }

    /// <summary>Gives one register of a series its reset value; no handler runs.</summary>
    internal void Reset(TRegister register, int index)
    {
        int slot = SlotOf(register, index);
        foreach (ref readonly RegisterRow<TRegister> row in _rows.AsSpan())
        {
            if (row.Slot == slot)
                Volatile.Write(ref _values[slot], row.Masks.Reset);
        }
    }

    /// <summary>Saves every register.</summary>
    public override void Save(StateWriter state)
    {
        ArgumentNullException.ThrowIfNull(state);
        for (int i = 0; i < _values.Length; i++)
            state.Write(Volatile.Read(ref _values[i]));
    }

    /// <summary>Restores every register; no handler runs. Values of registers that a driver cannot write are checked for their width only:
    /// a device that relies on more checks them in <see cref="EmulatedFunction.OnRestore"/>.</summary>
    /// <returns>False when a value is wider than its register, or missing.</returns>
    public override bool TryRestore(ref StateReader state)
    {
        foreach (ref ulong kept in _values.AsSpan())
        {
            if (!state.TryRead(out ulong value))
                return false;
            Volatile.Write(ref kept, value);
        }

        foreach (ref readonly RegisterRow<TRegister> row in _rows.AsSpan())
        {
            if ((Volatile.Read(ref _values[row.Slot]) & ~RegisterMap<TRegister>.WidthMask(row.Bytes)) != 0)
                return false;
        }

        return true;
    }

    // The first place: a register with several is the same at each.
    private ulong PlaceOf(TRegister register, int index)
    {
        int slot = SlotOf(register, index);
        return Array.Find(_rows, row => row.Slot == slot).Offset;
    }

    private int SlotOf(TRegister register, int index)
    {
        (int slot, int count) = _map.Registers[register];
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)count, nameof(index));
        return slot + index;
    }

    private void Write(in RegisterRow<TRegister> row, ulong written, ulong covered)
    {
        ref ulong kept = ref _values[row.Slot];
        ulong writable = row.Masks.Writable & covered;
        ulong cleared = row.Masks.WriteOneToClear & written;
        ulong old;
        ulong value;
        do
        {
            old = Volatile.Read(ref kept);
            value = (old & ~writable & ~cleared) | (written & writable);
        }
        while (Interlocked.CompareExchange(ref kept, value, old) != old);
        _writers[row.Slot]?.Invoke(row.Index, written | (old & row.Masks.Writable & ~covered));
    }

    private sealed record Forwarded(BarContent To, ulong Place);

    /// <summary>Which bytes an access and a register have in common.</summary>
    private readonly struct Overlap(ulong accessStart, ulong accessEnd, ulong start, ulong end)
    {
        internal int InAccess => start > accessStart ? (int)(start - accessStart) : 0;

        internal int InRegister => accessStart > start ? (int)(accessStart - start) : 0;

        internal int Count => (int)(Math.Min(accessEnd, end) - Math.Max(accessStart, start));
    }
}
