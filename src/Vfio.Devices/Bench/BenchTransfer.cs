using Vfio.Native;

namespace Vfio.Devices.Bench;

/// <summary>What the DMA registers ask for.</summary>
/// <param name="Operation">What to do; a driver may have written any number.</param>
/// <param name="Address">Where in memory the first repeat starts.</param>
/// <param name="Length">Bytes of one repeat.</param>
/// <param name="Repeats">How often, at least once.</param>
/// <param name="Stride">How far the address moves with every repeat, in bytes.</param>
/// <param name="Span">Where it wraps, in bytes from <paramref name="Address"/>; 0 keeps it in place.</param>
internal readonly record struct BenchTransfer(
    BenchOperation Operation, ulong Address, ulong Length, uint Repeats, ulong Stride, ulong Span)
{
    /// <summary>EINVAL when there is no such operation, or a number is out of its range.</summary>
    public Errno Verdict =>
        Operation is >= BenchOperation.Read and <= BenchOperation.Translate
        && Length is > 0 and <= BenchRegisters.MemoryLength
        && Repeats <= BenchRegisters.MaxRepeats
            ? Errno.None
            : Errno.InvalidArgument;

    /// <summary>How far the repeat after one is from <see cref="Address"/>, in bytes.</summary>
    /// <param name="distance">How far that one is.</param>
    public ulong After(ulong distance)
    {
        if (Span == 0)
            return 0;
        ulong next = unchecked(distance + Stride);
        return next < Span ? next : next % Span;
    }
}
