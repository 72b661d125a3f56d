using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Vfio.Tests.Driver;

public sealed class IovaAllocatorTests
{
    [Fact]
    public void The_lowest_free_range_is_handed_out_in_whole_pages()
    {
        IovaAllocator iovas = Make((0x1_0000, 0x1_ffff), (0x10_0000, 0x1f_ffff));

        Assert.Equal(0x1_0000ul, iovas.Allocate(1).Value);
        Assert.Equal(0x1_1000ul, iovas.Allocate(0x1001).Value);
        Assert.Equal(0x10_0000ul, iovas.Allocate(0x1_0000).Value);
        Assert.Equal(0x1_3000ul, iovas.Allocate(0xd000).Value);
    }

    [Fact]
    public void Ranges_are_rounded_inwards()
    {
        IovaAllocator iovas = Make((0x1, 0x2ffe), (0x5000, 0x5ffe));

        Assert.Equal(0x1000ul, iovas.FreeBytes);
        Assert.Equal(0x1000ul, iovas.Allocate(0x1000).Value);
        Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => iovas.Allocate(1)).Errno);
    }

    [Fact]
    public void The_page_at_0_is_nobodys()
    {
        IovaAllocator iovas = Make((0, 0x1fff));

        Assert.Equal(0x1000ul, iovas.Allocate(1).Value);
        Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => iovas.Allocate(1)).Errno);
    }

    [Fact]
    public void A_range_up_to_the_last_address_does_not_wrap()
    {
        IovaAllocator iovas = Make((0xffff_ffff_ffff_e000, ulong.MaxValue));

        Assert.Equal(0xffff_ffff_ffff_e000, iovas.Allocate(0x1000).Value);
        Assert.Throws<VfioException>(() => iovas.Allocate(0x1000));
        Assert.Throws<OverflowException>(() => iovas.Allocate(ulong.MaxValue));
    }

    [Fact]
    public void Address_bits_limit_the_end_of_the_range()
    {
        IovaAllocator iovas = Make((0xff_f000, 0x100_1fff));

        Assert.Throws<VfioException>(() => iovas.Allocate(0x2000, addressBits: 24));
        Assert.Equal(0xff_f000ul, iovas.Allocate(0x1000, addressBits: 24).Value);
        Assert.Throws<VfioException>(() => iovas.Allocate(0x1000, addressBits: 24));
        Assert.Equal(0x100_0000ul, iovas.Allocate(0x1000, addressBits: 25).Value);
    }

    [Fact]
    public void An_alignment_leaves_a_gap_that_is_used_later()
    {
        IovaAllocator iovas = Make((0x1000, 0xff_ffff));

        Assert.Equal(0x20_0000ul, iovas.Allocate(0x1000, alignmentBytes: 0x20_0000).Value);
        Assert.Equal(0x1000ul, iovas.Allocate(0x1f_f000).Value);
        Assert.Equal(0x20_1000ul, iovas.Allocate(0x1000).Value);
    }

    [Fact]
    public void What_is_released_joins_its_neighbours()
    {
        IovaAllocator iovas = Make((0x1000, 0x3fff));
        Iova[] taken = [iovas.Allocate(0x1000), iovas.Allocate(0x1000), iovas.Allocate(0x1000)];

        iovas.Free(taken[0], 0x1000);
        iovas.Free(taken[2], 0x1000);
        Assert.Throws<VfioException>(() => iovas.Allocate(0x2000));
        iovas.Free(taken[1], 0x1000);

        Assert.Equal(0x1000ul, iovas.Allocate(0x3000).Value);
    }

    [Fact]
    public void A_reserved_range_is_not_handed_out()
    {
        IovaAllocator iovas = Make((0x1000, 0x4fff));

        Assert.True(iovas.TryReserve(new Iova(0x2010), 0x10));
        Assert.False(iovas.TryReserve(new Iova(0x2000), 0x1000));
        Assert.False(iovas.TryReserve(new Iova(0x4000), 0x2000));
        Assert.Equal(0x3000ul, iovas.Allocate(0x2000).Value);
        Assert.Equal(0x1000ul, iovas.Allocate(0x1000).Value);
    }

    [Fact]
    public void Freeing_twice_is_an_argument_error()
    {
        IovaAllocator iovas = Make((0x1000, 0xffff));
        Iova taken = iovas.Allocate(0x3000);
        iovas.Free(taken, 0x3000);

        Assert.Throws<ArgumentException>(() => iovas.Free(taken, 0x1000));
        Assert.Throws<ArgumentException>(() => iovas.Free(taken + 0x2000, 0x3000));
    }

    [Fact]
    public void Ranges_out_of_order_are_refused() =>
        Assert.Throws<ArgumentException>(() => Make((0x8000, 0xffff), (0x1000, 0x1fff)));

    [Fact]
    public void The_default_ranges_leave_out_zero_and_the_interrupt_addresses()
    {
        Assert.All(IovaRange.Default, range => Assert.True(range.Start.Value > 0));
        Assert.DoesNotContain(IovaRange.Default, range => range.Start.Value <= 0xfeef_ffff && range.Last.Value >= 0xfee0_0000);
    }

    [Fact]
    public void Ranges_in_use_never_overlap_and_all_come_back()
    {
        Arbitrary<byte[]> steps = ArbMap.Default.ArbFor<byte[]>();
        Prop.ForAll(steps, Runs).QuickCheckThrowOnFailure();
    }

    private static bool Runs(byte[] steps)
    {
        IovaAllocator iovas = Make((0x1000, 0xf_ffff), (0x20_0000, 0x2f_ffff));
        ulong free = iovas.FreeBytes;
        List<(Iova Start, ulong Length)> used = [];
        foreach (byte step in steps)
        {
            if (step % 3 == 0 && used.Count > 0)
            {
                (Iova start, ulong length) = used[step % used.Count];
                iovas.Free(start, length);
                used.RemoveAt(step % used.Count);
                continue;
            }

            ulong bytes = (ulong)(1 + step) * 0x200;
            Iova at = iovas.Allocate(bytes, alignmentBytes: step % 2 == 0 ? 0x4000ul : 0);
            if (used.Exists(other => at < other.Start + RoundUp(other.Length) && other.Start < at + RoundUp(bytes)))
                return false;
            used.Add((at, bytes));
            if (used.Count > 12)
            {
                iovas.Free(used[0].Start, used[0].Length);
                used.RemoveAt(0);
            }
        }

        used.ForEach(range => iovas.Free(range.Start, range.Length));
        return iovas.FreeBytes == free && iovas.Allocate(0xf_f000).Value == 0x1000;
    }

    private static ulong RoundUp(ulong bytes) => (bytes + 0xfff) / 0x1000 * 0x1000;

    private static IovaAllocator Make(params (ulong First, ulong Last)[] ranges) =>
        new([.. ranges.Select(range => IovaRange.Between(range.First, range.Last))], pageBytes: 0x1000);
}
