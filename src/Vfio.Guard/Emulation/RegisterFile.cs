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
    private readonly Func<ulong, ulong>?[] _readers;
    private readonly Action<ulong>?[] _writers;
    private readonly Dictionary<TRegister, int> _indexes = [];

    /// <summary>Makes registers with their reset values.</summary>
    /// <param name="map">The table; rows added to it later have no effect.</param>
    public RegisterFile(RegisterMap<TRegister> map)
    {
        ArgumentNullException.ThrowIfNull(map);
        _map = map;
        _rows = [.. map.Rows];
        _values = new ulong[_rows.Length];
        _readers = new Func<ulong, ulong>?[_rows.Length];
        _writers = new Action<ulong>?[_rows.Length];
        for (int i = 0; i < _rows.Length; i++)
            _indexes.Add(_rows[i].Register, i);
        Reset();
    }

    /// <inheritdoc/>
    public override ulong Length => _map.Length;

    /// <summary>The value of a register as the device keeps it: no mask applies and no handler runs.</summary>
    public ulong this[TRegister register]
    {
        get => Volatile.Read(ref _values[_indexes[register]]);
        set => Volatile.Write(ref _values[_indexes[register]], value);
    }

    /// <summary>Sets bits of a register, in one atomic step.</summary>
    /// <returns>Its value before.</returns>
    public ulong Set(TRegister register, ulong bits) => Interlocked.Or(ref _values[_indexes[register]], bits);

    /// <summary>Clears bits of a register, in one atomic step.</summary>
    /// <returns>Its value before.</returns>
    public ulong Clear(TRegister register, ulong bits) => Interlocked.And(ref _values[_indexes[register]], ~bits);

    /// <summary>Sets the handler of a register's reads.</summary>
    /// <param name="register">Which register.</param>
    /// <param name="handler">Takes the kept value and returns what the driver reads; may have effects.</param>
    public void OnRead(TRegister register, Func<ulong, ulong> handler) => _readers[_indexes[register]] = handler;

    /// <summary>Sets the handler of a register's writes, called after the masks were applied.</summary>
    /// <param name="register">Which register.</param>
    /// <param name="handler">Takes what was written, with its bits that are not writable. Bytes that a narrower write left out
    /// are the kept value's writable bits.</param>
    public void OnWrite(TRegister register, Action<ulong> handler) => _writers[_indexes[register]] = handler;

    /// <inheritdoc/>
    public override void Read(ulong offset, Span<byte> destination)
    {
        destination.Fill(_map.Unlisted);
        ulong end = offset + (ulong)destination.Length;
        for (int i = RegisterMap<TRegister>.FirstEndingAfter(_rows, offset); i < _rows.Length && _rows[i].Offset < end; i++)
        {
            Overlap part = new(offset, end, _rows[i].Offset, _rows[i].End);
            ulong value = Volatile.Read(ref _values[i]);
            if (_readers[i] is { } reader)
                value = reader(value);
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
            ulong written = 0;
            ulong covered = 0;
            source.Slice(part.InAccess, part.Count).CopyTo(Blittable.AsBytes(ref written)[part.InRegister..]);
            Blittable.AsBytes(ref covered).Slice(part.InRegister, part.Count).Fill(byte.MaxValue);
            Write(i, written, covered);
        }
    }

    /// <summary>Gives every register its reset value; no handler runs.</summary>
    public override void Reset()
    {
        for (int i = 0; i < _rows.Length; i++)
            Volatile.Write(ref _values[i], _rows[i].Reset);
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
        for (int i = 0; i < _values.Length; i++)
        {
            if (!state.TryRead(out ulong value) || (value & ~RegisterMap<TRegister>.WidthMask(_rows[i].Bytes)) != 0)
                return false;
            Volatile.Write(ref _values[i], value);
        }

        return true;
    }

    private void Write(int index, ulong written, ulong covered)
    {
        RegisterRow<TRegister> row = _rows[index];
        ulong writable = row.Writable & covered;
        ulong cleared = row.WriteOneToClear & written;
        ulong old;
        ulong value;
        do
        {
            old = Volatile.Read(ref _values[index]);
            value = (old & ~writable & ~cleared) | (written & writable);
        }
        while (Interlocked.CompareExchange(ref _values[index], value, old) != old);
        _writers[index]?.Invoke(written | (old & row.Writable & ~covered));
    }

    /// <summary>Which bytes an access and a register have in common.</summary>
    private readonly struct Overlap(ulong accessStart, ulong accessEnd, ulong start, ulong end)
    {
        internal int InAccess => start > accessStart ? (int)(start - accessStart) : 0;

        internal int InRegister => accessStart > start ? (int)(accessStart - start) : 0;

        internal int Count => (int)(Math.Min(accessEnd, end) - Math.Max(accessStart, start));
    }
}
