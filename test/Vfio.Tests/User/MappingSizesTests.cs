using Vfio.User;
using Vfio.User.Server;
using Xunit;

namespace Vfio.Tests.User;

/// <summary>The server's list of live mappings against a dictionary.</summary>
public sealed class MappingSizesTests
{
    [Fact]
    public void Any_sequence_of_adds_and_removals_leaves_what_a_dictionary_has()
    {
        Random random = new(7);
        Dictionary<ulong, ulong> expected = [];
        MappingSizes sizes = new();
        for (int step = 0; step < 200_000; step++)
        {
            // A range of starts that is met again and again, so that removals and adds go on at about the same rate.
            ulong start = (ulong)random.Next(20_000) << 12;
            if (expected.Remove(start))
                sizes.Remove(start);
            else
                Add(start, (ulong)step << 12);
        }

        Assert.Equal(expected.Count, sizes.Count);
        for (ulong start = 0; start < 20_000; start++)
        {
            bool isThere = expected.TryGetValue(start << 12, out ulong size);
            Assert.Equal(isThere, sizes.TryGet(start << 12, out ulong found));
            Assert.Equal(size, found);
        }

        void Add(ulong start, ulong size)
        {
            expected.Add(start, size);
            sizes.Add(start, size);
        }
    }

    [Fact]
    public void The_largest_start_and_size_stay_apart_from_what_links_the_entries()
    {
        const ulong Highest = ulong.MaxValue - 0xfff;
        MappingSizes sizes = new();
        for (ulong i = 0; i < 70_000; i++)
            sizes.Add(Highest - (i << 12), Highest - (i << 12));
        for (ulong i = 0; i < 70_000; i++)
        {
            Assert.True(sizes.TryGet(Highest - (i << 12), out ulong size));
            Assert.Equal(Highest - (i << 12), size);
        }
    }

    [Fact]
    public void After_a_clear_nothing_is_there_and_all_can_be_added_again()
    {
        MappingSizes sizes = new();
        Assert.False(sizes.TryGet(0, out _));
        for (int round = 0; round < 2; round++)
        {
            sizes.Add(0x1000, 0x1000);
            sizes.Clear();
            Assert.Equal(0, sizes.Count);
            Assert.False(sizes.TryGet(0x1000, out _));
        }
    }
}
