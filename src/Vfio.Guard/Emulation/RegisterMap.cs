using System.Collections;
using Vfio.Guard.Emulation;

namespace Vfio.Guard;

/// <summary>The registers of a BAR as a table, in the data sheet's form. One map serves every instance of a device.</summary>
/// <typeparam name="TRegister">The enumeration that names the registers.</typeparam>
/// <remarks>A row is refused when it overlaps another, does not fit the map, is not naturally aligned, names a register twice, has bits
/// beyond its width, or has a bit that is both writable and write-1-to-clear.</remarks>
/// <example><code>
/// private static readonly RegisterMap&lt;Register&gt; Map = new(length: 0x1000)
/// {
///     // offset, bytes, register,        reset,      writable,   write-1-to-clear
///     { 0x00, 4, Register.Identity,      0x010000ed },
///     { 0x04, 4, Register.Control,       0x00000000, 0x00000003 },
///     { 0x08, 4, Register.Status,        0x00000000, 0x00000000, 0x0000000f },
/// };
/// </code></example>
public sealed class RegisterMap<TRegister> : IEnumerable
    where TRegister : struct, Enum
{
    private readonly List<RegisterRow<TRegister>> _rows = [];

    /// <summary>Starts an empty map.</summary>
    /// <param name="length">Size of the BAR in bytes: a power of two, at least 4.</param>
    /// <param name="unlisted">The value of every byte that no row covers; writes to it are dropped.</param>
    public RegisterMap(ulong length, byte unlisted = 0)
    {
        BarContent.CheckLength(length);
        Length = length;
        Unlisted = unlisted;
    }

    /// <summary>Size of the BAR in bytes.</summary>
    public ulong Length { get; }

    /// <summary>The value of every byte that no row covers.</summary>
    public byte Unlisted { get; }

    /// <summary>The rows by ascending offset.</summary>
    internal IReadOnlyList<RegisterRow<TRegister>> Rows => _rows;

    /// <summary>Adds a register.</summary>
    /// <param name="offset">Its offset in bytes; a multiple of <paramref name="bytes"/>.</param>
    /// <param name="bytes">1, 2, 4 or 8.</param>
    /// <param name="register">Which register.</param>
    /// <param name="reset">Its value after reset.</param>
    /// <param name="writable">The bits that a write changes.</param>
    /// <param name="writeOneToClear">The bits that a written 1 clears.</param>
    public void Add(ulong offset, int bytes, TRegister register, ulong reset = 0, ulong writable = 0, ulong writeOneToClear = 0)
    {
        RegisterRow<TRegister> row = new(offset, bytes, register, reset, writable, writeOneToClear);
        if (bytes is not (1 or 2 or 4 or 8) || offset % (ulong)bytes != 0)
            throw new ArgumentException($"{register}: {bytes} bytes at 0x{offset:x} are not a naturally aligned register of 1, 2, 4 or 8 bytes");
        if (offset > Length || (ulong)bytes > Length - offset)
            throw new ArgumentException($"{register}: {bytes} bytes at 0x{offset:x} do not fit the map of 0x{Length:x} bytes");
        if (((reset | writable | writeOneToClear) & ~WidthMask(bytes)) != 0)
            throw new ArgumentException($"{register}: a value or mask is wider than {bytes} bytes");
        if ((writable & writeOneToClear) != 0)
            throw new ArgumentException($"{register}: bits 0x{writable & writeOneToClear:x} are both writable and write-1-to-clear");
        foreach (RegisterRow<TRegister> other in _rows)
        {
            if (offset < other.End && other.Offset < row.End)
                throw new ArgumentException($"{register} at 0x{offset:x} overlaps {other.Register} at 0x{other.Offset:x}");
            if (EqualityComparer<TRegister>.Default.Equals(register, other.Register))
                throw new ArgumentException($"{register} is in the map twice, at 0x{other.Offset:x} and 0x{offset:x}");
        }

        _rows.Insert(_rows.FindLastIndex(other => other.Offset < offset) + 1, row);
    }

    // What makes a table of a collection initializer.
    IEnumerator IEnumerable.GetEnumerator() => _rows.GetEnumerator();

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
