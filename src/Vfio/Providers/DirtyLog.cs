using System.Collections.Concurrent;
using System.Numerics;

namespace Vfio.Providers;

/// <summary>Which pages were written, one bit each, by address.</summary>
/// <remarks>
/// <para>Kept separate from the mappings, so that an unmap loses nothing. Memory is allocated only where something is written,
/// whatever is mapped: 4 KiB for 128 MiB of addresses. A device whose user makes it write all over the address space reaches
/// a limit, from which on everything counts as written.</para>
/// <para>Any thread may use it. A write is recorded once <see cref="Mark(ulong, long)"/> has returned.</para>
/// </remarks>
internal sealed class DirtyLog
{
    /// <summary>Bits of an address within a page of the record: 4 KiB.</summary>
    public const int PageBits = 12;

    internal const int MaxPieces = 1 << 14;
    private const int WordBits = 6, PieceBits = 15;
    private const int PieceWords = 1 << (PieceBits - WordBits);
    private readonly ConcurrentDictionary<ulong, ulong[]> _pieces = new();
    private volatile int _pieceCount;
    private volatile bool _isFull;

    /// <summary>Records a write.</summary>
    /// <param name="address">First address.</param>
    /// <param name="count">How many bytes, above 0; the range does not wrap.</param>
    public void Mark(ulong address, long count)
    {
        ulong last = (address + (ulong)(count - 1)) >> PageBits;
        for (ulong page = address >> PageBits; page <= last; page++)
        {
            if (!TryGetPiece(page >> PieceBits, out ulong[]? piece))
                return;
            ref ulong word = ref piece[WordOf(page)];
            ulong bit = 1UL << (int)(page & 63);
            if ((Volatile.Read(ref word) & bit) == 0)
                Interlocked.Or(ref word, bit);
        }
    }

    /// <summary>Records the pages of a bitmap in <see cref="IDirtyTracker"/>'s form.</summary>
    /// <param name="start">The address that bit 0 stands for.</param>
    /// <param name="pageBytes">Bytes that a bit stands for.</param>
    /// <param name="bitmap">The bits.</param>
    public void Mark(ulong start, ulong pageBytes, ReadOnlySpan<byte> bitmap)
    {
        for (int at = 0; at < bitmap.Length; at++)
        {
            for (int left = bitmap[at]; left != 0; left &= left - 1)
                Mark(start + ((((ulong)at * 8) + (ulong)BitOperations.TrailingZeroCount(left)) * pageBytes), (long)pageBytes);
        }
    }

    /// <summary>Sets the bits of what was written in a range, and clears the record of the pages that lie in it as a whole.</summary>
    /// <param name="start">First address.</param>
    /// <param name="last">Last address.</param>
    /// <param name="pageBytes">Bytes that a bit of the bitmap stands for: a power of two.</param>
    /// <param name="bitmap">Long enough; see <see cref="DirtyBitmap"/>.</param>
    public void Report(ulong start, ulong last, ulong pageBytes, Span<byte> bitmap)
    {
        int shift = BitOperations.Log2(pageBytes);
        if (_isFull)
            SetBits(bitmap, 0, (last - start) >> shift);
        foreach ((ulong number, ulong[] piece) in _pieces)
        {
            ulong first = number << (PieceBits + PageBits);
            if (first > last || first + ((1UL << (PieceBits + PageBits)) - 1) < start)
                continue;
            for (int i = 0; i < PieceWords; i++)
            {
                if (Volatile.Read(ref piece[i]) != 0)
                    Report(ref piece[i], first + ((ulong)i << (WordBits + PageBits)), start, last, shift, bitmap);
            }
        }
    }

    private static int WordOf(ulong page) => (int)(page >> WordBits) & (PieceWords - 1);

    private static void Report(ref ulong word, ulong firstPage, ulong start, ulong last, int shift, Span<byte> bitmap)
    {
        const ulong PageMask = (1UL << PageBits) - 1;
        for (ulong left = Volatile.Read(ref word); left != 0; left &= left - 1)
        {
            ulong page = firstPage + ((ulong)BitOperations.TrailingZeroCount(left) << PageBits);
            ulong pageLast = page + PageMask;
            if (pageLast < start || page > last)
                continue;
            if (page >= start && pageLast <= last)
                Interlocked.And(ref word, ~(left & (~left + 1)));
            SetBits(bitmap, (Math.Max(page, start) - start) >> shift, (Math.Min(pageLast, last) - start) >> shift);
        }
    }

    private static void SetBits(Span<byte> bitmap, ulong first, ulong last)
    {
        for (ulong bit = first; bit <= last; bit++)
            bitmap[(int)(bit >> 3)] |= (byte)(1 << (int)(bit & 7));
    }

    private bool TryGetPiece(ulong number, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ulong[]? piece)
    {
        if (_pieces.TryGetValue(number, out piece))
            return true;
        if (_pieceCount >= MaxPieces)
        {
            _isFull = true;
            return false;
        }

        ulong[] added = new ulong[PieceWords];
        piece = _pieces.GetOrAdd(number, added);
        if (piece == added)
            Interlocked.Increment(ref _pieceCount);
        return true;
    }
}
