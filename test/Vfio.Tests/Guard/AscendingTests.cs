using FsCheck;
using FsCheck.Fluent;
using Vfio.Guard;
using Vfio.Guard.Dma;

namespace Vfio.Tests.Guard;

public sealed class AscendingTests
{
    [Fact]
    public void A_search_counts_what_a_walk_counts() => Prop.ForAll<ulong[], ulong>((numbers, other) =>
    {
        ulong[] sorted = [.. numbers.Select(number => number % ulong.MaxValue).Order()];
        int length = Math.Max(1, (sorted.Length + 15) / 16) * 16;
        ulong[] blocks = [.. sorted, .. Enumerable.Repeat(ulong.MaxValue, length - sorted.Length)];
        foreach (ulong limit in sorted.Append(other % ulong.MaxValue).Append(0ul).Append(1ul << 63))
            Assert.Equal(sorted.Count(number => number <= limit), Ascending.CountUpTo(blocks, limit));
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(65)]
    public void Every_number_of_many_blocks_is_found(int blocks)
    {
        ulong[] numbers = [.. Enumerable.Range(0, 16 * blocks).Select(i => 10 + (10 * (ulong)i))];
        for (int i = 0; i < numbers.Length; i++)
        {
            Assert.Equal(i, Ascending.CountUpTo(numbers, numbers[i] - 1));
            Assert.Equal(i + 1, Ascending.CountUpTo(numbers, numbers[i]));
        }
    }
}
