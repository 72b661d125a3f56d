using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vfio.Guard.Dma;

/// <summary>Searches ascending numbers in whole blocks. Unused places of the last block hold the highest number.</summary>
/// <remarks>A block is compared at once, by SIMD, so a search has no branch to mispredict.</remarks>
internal static class Ascending
{
    internal const int BlockLength = 16;

    /// <summary>Counts the numbers that are at most <paramref name="limit"/>; with the highest number as limit, unused places too.</summary>
    /// <param name="blocks">Blocks, at least one.</param>
    /// <param name="limit">The limit.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int CountUpTo(ReadOnlySpan<ulong> blocks, ulong limit)
    {
        // The last block that starts at or below the limit, or the first one; half the blocks that are left or none are added.
        int low = 0;
        for (int left = blocks.Length / BlockLength; left > 1;)
        {
            int half = left >> 1;
            low += half & -(blocks[(low + half) * BlockLength] <= limit ? 1 : 0);
            left -= half;
        }

        return (low * BlockLength) + CountInBlock(blocks.Slice(low * BlockLength, BlockLength), limit);
    }

    /// <summary>As <see cref="CountUpTo"/>, in a single block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int CountInBlock(ReadOnlySpan<ulong> block, ulong limit)
    {
        Vector256<ulong> limits = Vector256.Create(limit);
        return CountInQuarter(block[..4], limits) + CountInQuarter(block.Slice(4, 4), limits)
            + CountInQuarter(block.Slice(8, 4), limits) + CountInQuarter(block.Slice(12, 4), limits);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int CountInQuarter(ReadOnlySpan<ulong> quarter, Vector256<ulong> limits) =>
        BitOperations.PopCount(Vector256.LessThanOrEqual(Vector256.Create(quarter), limits).ExtractMostSignificantBits());
}
