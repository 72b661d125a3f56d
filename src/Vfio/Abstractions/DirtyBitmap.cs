using System.Numerics;

namespace Vfio;

/// <summary>The bitmaps of <see cref="IDirtyTracker"/>.</summary>
public static class DirtyBitmap
{
    /// <summary>The length of a range's bitmap in bytes: a bit for each page, in whole words of 64.</summary>
    /// <param name="rangeBytes">Size of the range in bytes.</param>
    /// <param name="pageBytes">Bytes that a bit stands for.</param>
    /// <exception cref="ArgumentOutOfRangeException">The page size is no power of two.</exception>
    public static ulong LengthOf(ulong rangeBytes, ulong pageBytes)
    {
        if (!BitOperations.IsPow2(pageBytes))
            throw new ArgumentOutOfRangeException(nameof(pageBytes), pageBytes, "the page size must be a power of two");
        ulong pages = rangeBytes == 0 ? 0 : ((rangeBytes - 1) >> BitOperations.Log2(pageBytes)) + 1;
        return ((pages >> 6) + ((pages & 63) == 0 ? 0u : 1u)) * 8;
    }

    /// <summary>Whether a report is possible: the range is not empty and does not wrap, the page size is a power of two, and the bitmap is
    /// long enough.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Size of the range in bytes.</param>
    /// <param name="pageBytes">Bytes that a bit stands for.</param>
    /// <param name="bitmapBytes">How long the bitmap is.</param>
    public static bool HasRoom(Iova start, ulong length, ulong pageBytes, int bitmapBytes) =>
        length != 0 && length - 1 <= ulong.MaxValue - start.Value && BitOperations.IsPow2(pageBytes)
            && LengthOf(length, pageBytes) <= (ulong)bitmapBytes;

    /// <summary>Whether a page was written.</summary>
    /// <param name="bitmap">The report.</param>
    /// <param name="page">The page's number in the range, from 0.</param>
    public static bool IsDirty(ReadOnlySpan<byte> bitmap, int page) => (bitmap[page >> 3] >> (page & 7) & 1) != 0;
}
