using System.Collections;
using System.Runtime.InteropServices;
using Vfio.Guard.Emulation;

namespace Vfio.Guard;

/// <summary>The registers of a BAR as a table, in the data sheet's form. One map serves every instance of a device.</summary>
/// <typeparam name="TRegister">The enumeration that names the registers.</typeparam>
/// <remarks>A row is refused when it overlaps another, does not fit the map, is not naturally aligned, names a register twice, has bits
/// beyond its width, or has a bit that is both writable and write-1-to-clear. The refusal comes from the constructor of <see
/// cref="RegisterFile{TRegister}"/>, when a device is made, with every row that is wrong: a table is a static field, where an exception
/// would hide in a <see cref="TypeInitializationException"/>.</remarks>
/// <example><code>
/// private static readonly RegisterMap&lt;Register&gt; Map = new(length: 0x1000)
/// {
///     // offset, bytes, register,        reset,      writable,   write-1-to-clear
///     { 0x00, 4, Register.Identity,      0x010000ed },
///     { 0x04, 4, Register.Control,       0x00000000, 0x00000003 },
///     { 0x08, 4, Register.Status,        0x00000000, 0x00000000, 0x0000000f },
///     { new RegisterSeries(0x100, Count: 16, Stride: 8), 4, Register.QueueTail, 0, 0x0000ffff },
/// };
/// </code></example>
public sealed class RegisterMap<TRegister> : IEnumerable
    where TRegister : struct, Enum
{
    private const int LongestSeries = 65536;
    private readonly List<RegisterRow<TRegister>> _rows = [];
    private readonly Dictionary<TRegister, (int Slot, int Count)> _registers = [];
    private readonly List<string> _mistakes = [];

    /// <summary>Starts an empty map.</summary>
    /// <param name="length">Size of the BAR in bytes: a power of two, at least 4.</param>
    /// <param name="unlisted">The value of every byte that no row covers; writes to it are dropped.</param>
    public RegisterMap(ulong length, byte unlisted = 0)
    {
        if (BarContent.FindFault(length) is { } fault)
            _mistakes.Add(fault);
        Length = length;
        Unlisted = unlisted;
    }

    /// <summary>Size of the BAR in bytes.</summary>
    public ulong Length { get; }

    /// <summary>The value of every byte that no row covers.</summary>
    public byte Unlisted { get; }

    /// <summary>The rows by ascending offset.</summary>
    internal IReadOnlyList<RegisterRow<TRegister>> Rows => _rows;

    /// <summary>Where the values of each register are: the first, and how many.</summary>
    internal IReadOnlyDictionary<TRegister, (int Slot, int Count)> Registers => _registers;

    /// <summary>How many values there are.</summary>
    internal int Slots { get; private set; }

    /// <summary>Adds a register.</summary>
    /// <param name="offset">Its offset in bytes; a multiple of <paramref name="bytes"/>.</param>
    /// <param name="bytes">1, 2, 4 or 8.</param>
    /// <param name="register">Which register.</param>
    /// <param name="reset">Its value after reset.</param>
    /// <param name="writable">The bits that a write changes.</param>
    /// <param name="writeOneToClear">The bits that a written 1 clears.</param>
    /// <param name="readToClear">The bits that a read of any of its bytes clears.</param>
    public void Add(
        ulong offset, int bytes, TRegister register,
        ulong reset = 0, ulong writable = 0, ulong writeOneToClear = 0, ulong readToClear = 0) =>
        Add(new RegisterSeries(offset, 1, 0), bytes, register, reset, writable, writeOneToClear, readToClear);

    /// <summary>Adds a series of equal registers; handlers are told which one by its number, from 0.</summary>
    /// <param name="places">Where they are.</param>
    /// <param name="bytes">Width of each: 1, 2, 4 or 8.</param>
    /// <param name="register">Which series.</param>
    /// <param name="reset">The value of each after reset.</param>
    /// <param name="writable">The bits that a write changes.</param>
    /// <param name="writeOneToClear">The bits that a written 1 clears.</param>
    /// <param name="readToClear">The bits that a read of any of its bytes clears.</param>
    public void Add(
        RegisterSeries places, int bytes, TRegister register,
        ulong reset = 0, ulong writable = 0, ulong writeOneToClear = 0, ulong readToClear = 0)
    {
        RegisterMasks masks = new(reset, writable, writeOneToClear, readToClear);
        if (FindFault(places, bytes, register, masks) is { } fault)
        {
            _mistakes.Add(fault);
            return;
        }

        int first = Slots;
        Slots += places.Count;
        _registers.Add(register, (first, places.Count));
        for (int i = 0; i < places.Count; i++)
            Insert(new RegisterRow<TRegister>(places.Start + ((ulong)i * places.Stride), bytes, register, i, first + i, masks));
    }

    /// <summary>Adds a second place of registers that were added before: the same values, masks and handlers.</summary>
    /// <param name="places">Where they are too.</param>
    /// <param name="register">Which register, or which series.</param>
    /// <param name="first">The number of the one that the first place shows.</param>
    public void Add(RegisterSeries places, TRegister register, int first = 0)
    {
        if (!_registers.TryGetValue(register, out (int Slot, int Count) known) || first < 0 || places.Count > known.Count - first)
        {
            _mistakes.Add($"{register}: a second place at 0x{places.Start:x} of what was not added before");
            return;
        }

        RegisterRow<TRegister> of = _rows.Find(row => row.Slot == known.Slot);
        if (FindPlaceFault(places, of.Bytes, register) is { } fault)
        {
            _mistakes.Add(fault);
            return;
        }

        for (int i = first; i < first + places.Count; i++)
            Insert(of with { Offset = places.Start + ((ulong)(i - first) * places.Stride), Index = i, Slot = known.Slot + i });
    }

    // What makes a table of a collection initializer.
    IEnumerator IEnumerable.GetEnumerator() => _rows.GetEnumerator();

    /// <summary>Refuses a map with mistakes, naming each row.</summary>
    /// <exception cref="ArgumentException">There are some.</exception>
    internal void ThrowIfWrong()
    {
        if (_mistakes.Count > 0)
            throw new ArgumentException($"register map of {typeof(TRegister)}: {string.Join("; ", _mistakes)}");
    }

    private string? FindFault(RegisterSeries places, int bytes, TRegister register, RegisterMasks masks)
    {
        if (FindPlaceFault(places, bytes, register) is { } fault)
            return fault;
        if (((masks.Reset | masks.Writable | masks.WriteOneToClear | masks.ReadToClear) & ~WidthMask(bytes)) != 0)
            return $"{register}: a value or mask is wider than {bytes} bytes";
        if ((masks.Writable & masks.WriteOneToClear) != 0)
            return $"{register}: bits 0x{masks.Writable & masks.WriteOneToClear:x} are both writable and write-1-to-clear";
        return _registers.ContainsKey(register) ? $"{register} is in the map twice, the second time at 0x{places.Start:x}" : null;
    }

    private string? FindPlaceFault(RegisterSeries places, int bytes, TRegister register)
    {
        (ulong start, int count, ulong stride) = places;
        if (bytes is not (1 or 2 or 4 or 8) || start % (ulong)bytes != 0 || (count > 1 && stride % (ulong)bytes != 0))
            return $"{register}: {bytes} bytes at 0x{start:x} are not a naturally aligned register of 1, 2, 4 or 8 bytes";
        if (count is < 1 or > LongestSeries || (count > 1 && stride < (ulong)bytes))
            return $"{register}: {count} registers of {bytes} bytes, 0x{stride:x} apart, are no series";
        ulong span = (ulong)bytes;
        if (count > 1)
            span += stride <= Length ? (ulong)(count - 1) * stride : Length;
        if (start > Length || span > Length - start)
            return $"{register}: {bytes} bytes at 0x{start:x} do not fit the map of 0x{Length:x} bytes";
        for (int i = 0; i < count; i++)
        {
            ulong offset = start + ((ulong)i * stride);
            int next = FirstEndingAfter(CollectionsMarshal.AsSpan(_rows), offset);
            if (next < _rows.Count && _rows[next].Offset < offset + (ulong)bytes)
                return $"{register} at 0x{offset:x} overlaps {_rows[next].Register} at 0x{_rows[next].Offset:x}";
        }

        return null;
    }

    private void Insert(in RegisterRow<TRegister> row) =>
        _rows.Insert(FirstEndingAfter(CollectionsMarshal.AsSpan(_rows), row.Offset), row);

    /// <summary>The first row that ends after an offset; the number of rows when there is none.</summary>
    internal static int FirstEndingAfter(ReadOnlySpan<RegisterRow<TRegister>> rows, ulong offset)
    {
        int low = 0;
        int high = rows.Length;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            if (rows[middle].End > offset)
                high = middle;
            else
                low = middle + 1;
        }

        return low;
    }

    /// <summary>The mask of all bits of a register.</summary>
    internal static ulong WidthMask(int bytes) => bytes == 8 ? ulong.MaxValue : (1UL << (8 * bytes)) - 1;
}
