using System.Numerics;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>A program's request for the written pages of a range, into a bitmap of its own: bits are set there and none is cleared.</summary>
/// <remarks>Filled window by window, and only where something is mapped: so neither the range nor the page size, which are the program's,
/// decides how much memory or time it takes.</remarks>
/// <param name="Caller">Who asks.</param>
/// <param name="Start">First address.</param>
/// <param name="Length">How many bytes; not 0, and the range does not wrap.</param>
/// <param name="PageBytes">Bytes that a bit stands for: a power of two.</param>
/// <param name="Bitmap">Where the bits are, in the program's memory.</param>
internal readonly record struct DirtyReport(ICaller Caller, ulong Start, ulong Length, ulong PageBytes, ulong Bitmap)
{
    private const int WindowBits = 18, WordBits = 6, AddressBits = 64;

    /// <summary>Last address.</summary>
    internal ulong Last => Start + (Length - 1);

    /// <summary>Fills it.</summary>
    /// <param name="mapped">What is mapped in the range, in ascending order.</param>
    /// <param name="fill">Sets the bits of one window.</param>
    /// <returns>EFAULT: the bitmap is not all there.</returns>
    internal Errno Fill(IEnumerable<IovaInterval> mapped, Action<DirtyWindow> fill)
    {
        // A window has whole words of the bitmap.
        int pageShift = BitOperations.Log2(PageBytes);
        int shift = Math.Max(BitOperations.Log2(AddressSpace.PageBytes) + WindowBits, Math.Min(pageShift + WordBits, AddressBits - 1));
        ulong next = 0;
        foreach (IovaInterval area in mapped)
        {
            ulong first = (Math.Max(area.Start, Start) - Start) >> shift;
            ulong last = (Math.Min(area.Last, Last) - Start) >> shift;
            for (ulong window = Math.Max(first, next); window <= last; window++)
            {
                ulong offset = window << shift;
                ulong bytes = Math.Min(Length - offset, 1UL << shift);
                byte[] bits = new byte[DirtyBitmap.LengthOf(bytes, PageBytes)];
                fill(new DirtyWindow(Start + offset, bytes, PageBytes, 1UL << (shift - WindowBits), bits));
                if (!TryAdd(Bitmap + ((offset >> pageShift) >> 3), bits))
                    return Errno.BadAddress;
                next = window + 1;
            }
        }

        return Errno.None;
    }

    private bool TryAdd(ulong address, byte[] bits)
    {
        if (!bits.AsSpan().ContainsAnyExcept((byte)0))
            return true;
        byte[] before = new byte[bits.Length];
        if (!Caller.TryRead(address, before))
            return false;
        for (int i = 0; i < bits.Length; i++)
            bits[i] |= before[i];
        return Caller.TryWrite(address, bits);
    }
}

/// <summary>A part of a report.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="PageBytes">Bytes that a bit stands for.</param>
/// <param name="Granule">How fine a record of the part may be, so that it has at most 256 Ki pages.</param>
/// <param name="Bits">The bits, in whole words of 64.</param>
internal readonly record struct DirtyWindow(ulong Start, ulong Length, ulong PageBytes, ulong Granule, byte[] Bits)
{
    /// <summary>Sets the bits of all pages that have an address in a range.</summary>
    internal void Mark(ulong first, ulong last)
    {
        first = Math.Max(first, Start);
        last = Math.Min(last, Start + (Length - 1));
        int shift = BitOperations.Log2(PageBytes);
        for (ulong page = (first - Start) >> shift; first <= last && page <= (last - Start) >> shift; page++)
            Bits[page >> 3] |= (byte)(1 << (int)(page & 7));
    }
}
