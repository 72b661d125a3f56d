using FsCheck;
using FsCheck.Fluent;
using Vfio.Kernel;
using Vfio.Kernel.Device;

namespace Vfio.Tests.Kernel;

/// <summary>The ranges that a device is asked to keep record of.</summary>
public sealed class DmaLoggingTests
{
    private static readonly Gen<IovaRange> Ranges =
        Gen.Choose(0, 0x40000).Zip(Gen.Choose(1, 0x8000)).Select(pair => new IovaRange(new Iova((ulong)pair.Item1), (ulong)pair.Item2));

    [Fact]
    public void Ranges_grow_to_whole_pages_and_those_that_meet_become_one() => Assert.Equal(
        [Range(0x1000, 0x4fff), Range(0x8000, 0x8fff), Range(0x10000, 0x13fff)],
        DmaLogging.WholePages([Range(0x10800, 0x13001), Range(0x1234, 0x1234), Range(0x2000, 0x4800), Range(0x8000, 0x8fff), Range(0x10000, 0x10001)], 0x1000));

    [Fact]
    public void All_addresses_are_all_but_the_last_page_whose_end_has_no_number()
    {
        Assert.Equal([Range(0, 0xffff_ffff_ffff_efff)], DmaLogging.WholePages([Range(0, ulong.MaxValue - 1)], 0x1000));
        Assert.Equal([Range(0, 0xffff_ffff_ffdf_ffff)], DmaLogging.WholePages([Range(0, 0xfedf_ffff), Range(0xfef0_0000, ulong.MaxValue)], 0x200000));
        Assert.Empty(DmaLogging.WholePages([Range(0xffff_ffff_ffff_f000, ulong.MaxValue)], 0x1000));
        Assert.Empty(DmaLogging.WholePages([], 0x1000));
    }

    [Theory]
    [InlineData(0x1000)]
    [InlineData(0x4000)]
    public void Nothing_that_was_asked_for_is_left_out_and_no_page_that_was_not_is_added(ulong page) => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(Ranges.ArrayOf().ToArbitrary(), ranges =>
        {
            List<IovaRange> whole = DmaLogging.WholePages(ranges, page);
            for (int i = 0; i < whole.Count; i++)
            {
                Assert.Equal(0ul, (whole[i].Start.Value | whole[i].Length) % page);
                if (i > 0)
                    Assert.True(whole[i].Start.Value > whole[i - 1].Last.Value + 1);
            }

            IEnumerable<ulong> asked = ranges.SelectMany(range => Pages(range, page)).Distinct().Order();
            Assert.Equal(asked, whole.SelectMany(range => Pages(range, page)));
        }));

    private static IEnumerable<ulong> Pages(IovaRange range, ulong page)
    {
        for (ulong number = range.Start.Value / page; number <= range.Last.Value / page; number++)
            yield return number;
    }

    private static IovaRange Range(ulong first, ulong last) => IovaRange.Between(first, last);
}
