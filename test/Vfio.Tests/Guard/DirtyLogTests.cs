using System.Collections;
using FsCheck;
using FsCheck.Fluent;
using Vfio.Guard;
using Vfio.Guard.Dma;
using Vfio.Native;
using Vfio.Providers;
using Vfio.Tests.Driver;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>The record of what a device wrote, beside a set of page numbers.</summary>
public sealed class DirtyLogTests : IDisposable
{
    private const ulong Base = 0x4000_0000, Length = 0x1000_0000; // 256 MiB: the record is in several pieces
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("dirty", Length));
    private readonly DmaTable _table = new();

    public DirtyLogTests() =>
        Assert.Equal(Errno.None, _table.Map(new DmaMapping(new Iova(Base), Length, DmaAccess.ReadWrite, _memory, 0)));

    public void Dispose() => _memory.Release();

    public static TheoryData<ulong> PageSizes => [512, 4096, 0x2000, 0x10000, 0x200000, 0x4000_0000];

    [Theory]
    [MemberData(nameof(PageSizes))]
    public void The_report_is_the_pages_that_were_written(ulong pageBytes) => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(
            Gen.Choose(0, (int)Length - 0x8000).Zip(Gen.Choose(1, 0x8000)).ArrayOf().ToArbitrary(),
            writes =>
            {
                Assert.Equal(Errno.None, _table.StartLog());
                SortedSet<ulong> pages = [];
                foreach ((int at, int count) in writes)
                {
                    Assert.Equal(Errno.None, _table.Write(new Iova(Base + (ulong)at), new byte[count]));
                    for (ulong page = (ulong)at / 4096; page <= (ulong)(at + count - 1) / 4096; page++)
                        pages.Add(page);
                }

                // What a page of 4 KiB is in the bitmap: a bit, part of one, or several.
                BitArray expected = new((int)DirtyBitmap.LengthOf(Length, pageBytes) * 8);
                foreach (ulong page in pages)
                {
                    for (ulong bit = page * 4096 / pageBytes; bit <= ((page * 4096) + 4095) / pageBytes; bit++)
                        expected[(int)bit] = true;
                }

                byte[] bits = new byte[expected.Length / 8];
                expected.CopyTo(bits, 0);
                Assert.Equal(bits, Report(Base, Length, pageBytes));
                Assert.All(Report(Base, Length, pageBytes), value => Assert.Equal(0, value));
                _table.StopLog();
            }));

    [Fact]
    public void A_report_on_part_of_the_range_forgets_just_that_part()
    {
        _table.StartLog();
        _table.Write(new Iova(Base), new byte[8 * 4096]);
        Assert.Equal(0b110ul, Word(Base - 0x1000, 0x3000, 4096));
        Assert.Equal(0b1111_1100ul, Word(Base, 0x10000, 4096));
        Assert.Equal(0ul, Word(Base, 0x10000, 4096));
    }

    [Fact]
    public void A_page_that_is_only_partly_in_the_range_is_reported_and_kept()
    {
        _table.StartLog();
        _table.Write(new Iova(Base + 0x1000), [1]);
        Assert.Equal(0b1ul, Word(Base + 0x1800, 0x1000, 4096));
        Assert.Equal(0b10ul, Word(Base, 0x10000, 4096));
    }

    [Fact]
    public void Only_writes_are_on_record_and_only_those_that_reach_memory()
    {
        _table.StartLog();
        _table.Read(new Iova(Base), new byte[64]);
        Assert.Equal(Errno.BadAddress, _table.Write(new Iova(Base + Length), [1]));
        Assert.Equal(0ul, Word(Base, 0x40000, 4096));
        Assert.Equal(Errno.BadAddress, _table.Write(new Iova(Base + Length - 1), [1, 2]));
        Assert.Equal(1ul << 63, Word(Base + Length - 0x40000, 0x40000, 4096));
    }

    [Fact]
    public void An_unmap_loses_nothing_and_an_unmap_with_a_report_keeps_nothing()
    {
        _table.StartLog();
        _table.Write(new Iova(Base + 0x2000), [1]);
        Assert.Equal(Errno.None, _table.Unmap(new Iova(Base), Length, out _));
        Assert.Equal(0b100ul, Word(Base, 0x10000, 4096));

        _table.Map(new DmaMapping(new Iova(Base), 0x4000, DmaAccess.ReadWrite, _memory, 0));
        _table.Write(new Iova(Base + 0x3000), [1]);
        byte[] bitmap = new byte[8];
        Assert.Equal(Errno.None, _table.Unmap(new Iova(Base), 0x4000, 4096, bitmap, out ulong unmapped));
        Assert.Equal(0x4000ul, unmapped);
        Assert.Equal(0b1000, bitmap[0]);
        Assert.Equal(0ul, Word(Base, 0x10000, 4096));
    }

    [Fact]
    public void Memory_that_only_its_owner_reaches_is_on_record_too()
    {
        FakeMemory owned = new(0x4000);
        Assert.Equal(Errno.None, _table.Map(new DmaMapping(new Iova(0x10000), 0x4000, DmaAccess.ReadWrite, owned, 0)));
        _table.StartLog();
        _table.Write(new Iova(0x11000), [1]);
        Assert.Equal(0b10ul, Word(0x10000, 0x4000, 4096));
    }

    [Fact]
    public void The_first_and_the_last_page_of_all_are_on_record()
    {
        _table.Map(new DmaMapping(new Iova(0), 0x1000, DmaAccess.ReadWrite, _memory, 0));
        _table.Map(new DmaMapping(new Iova(0xffff_ffff_ffff_f000), 0x1000, DmaAccess.ReadWrite, _memory, 0));
        _table.StartLog();
        _table.Write(new Iova(0), [1]);
        _table.Write(new Iova(ulong.MaxValue), [1]);
        Assert.Equal(1ul, Word(0, 0x1000, 4096));
        Assert.Equal(2ul, Word(0xffff_ffff_ffff_e000, 0x2000, 4096));
    }

    [Fact]
    public void Without_a_start_or_with_a_second_one_or_a_range_that_cannot_be_it_is_EINVAL()
    {
        Assert.Equal(Errno.InvalidArgument, _table.ReportLog(new Iova(Base), 4096, 4096, new byte[8]));
        Assert.Equal(Errno.InvalidArgument, _table.Unmap(new Iova(Base), Length, 1 << 30, new byte[8], out _));
        Assert.Equal(1, _table.Count);
        Assert.Equal(Errno.None, _table.StartLog());
        Assert.Equal(Errno.InvalidArgument, _table.StartLog());
        foreach ((ulong start, ulong length, ulong page, int bytes) in new (ulong, ulong, ulong, int)[]
        {
            (Base, 0, 4096, 8), (Base, 4096, 0, 8), (Base, 4096, 4097, 8), (Base, 65 * 4096, 4096, 8),
            (0xffff_ffff_ffff_f000, 0x2000, 4096, 8), (Base, 4096, 4096, 7),
        })
        {
            Assert.Equal(Errno.InvalidArgument, _table.ReportLog(new Iova(start), length, page, new byte[bytes]));
        }

        _table.StopLog();
        _table.StopLog();
        Assert.Equal(Errno.None, _table.StartLog());
    }

    [Fact]
    public void A_device_that_is_sent_everywhere_costs_a_bounded_amount_and_reports_all_as_written()
    {
        DirtyLog log = new();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (ulong i = 0; i < 2 * DirtyLog.MaxPieces; i++)
            log.Mark(i << 27, 1);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 0, 80L << 20);
        byte[] bitmap = new byte[8];
        log.Report(0x5000_0000_0000_0000, 0x5000_0000_0000_9fff, 4096, bitmap);
        Assert.Equal(0x3fful, BitConverter.ToUInt64(bitmap));
        GC.KeepAlive(log);
    }

    [Theory]
    [InlineData(4096, 0b1001, 0b1001)]
    [InlineData(16384, 0b101, 0xf0f)]
    public void What_a_bitmap_says_is_on_record_for_each_page(ulong pageBytes, byte bits, ulong expected)
    {
        DirtyLog log = new();
        log.Mark(Base, pageBytes, [bits, 0x80]);
        byte[] bitmap = new byte[16];
        log.Report(Base, Base + 0x3ffff, 4096, bitmap);
        ulong last = 15 * pageBytes / 4096;
        ulong lastBits = pageBytes / 4096 == 1 ? 1ul : 0xful;
        Assert.Equal(expected | (lastBits << (int)last), BitConverter.ToUInt64(bitmap));
    }

    [Fact]
    public void Writes_of_many_threads_are_reported_each_at_least_once_and_none_that_was_not()
    {
        const int Threads = 4, Pages = 2000;
        _table.StartLog();
        using Barrier start = new(Threads + 1);
        Thread[] writers = [.. Enumerable.Range(0, Threads).Select(thread => new Thread(() =>
        {
            start.SignalAndWait();
            for (int page = thread; page < Pages; page += Threads)
                _table.Write(new Iova(Base + (2ul * 4096 * (ulong)page)), [1]);
        }))];
        Array.ForEach(writers, writer => writer.Start());
        byte[] bitmap = new byte[DirtyBitmap.LengthOf(2 * 4096 * Pages, 4096)];
        start.SignalAndWait();
        while (writers.Any(writer => writer.IsAlive))
            Assert.Equal(Errno.None, _table.ReportLog(new Iova(Base), 2 * 4096 * Pages, 4096, bitmap));
        Array.ForEach(writers, writer => writer.Join());
        _table.ReportLog(new Iova(Base), 2 * 4096 * Pages, 4096, bitmap);
        for (int page = 0; page < 2 * Pages; page++)
            Assert.Equal(page % 2 == 0, DirtyBitmap.IsDirty(bitmap, page));
    }

    [Fact]
    public void A_recorded_write_allocates_nothing_once_its_pages_are_known()
    {
        byte[] bytes = new byte[64];
        _table.StartLog();
        Assert.Equal(0, Measure.Allocations(() => _table.Write(new Iova(Base), bytes)));
    }

    [Theory]
    [InlineData(0, 4096, 0)]
    [InlineData(1, 4096, 8)]
    [InlineData(64 * 4096, 4096, 8)]
    [InlineData((64 * 4096) + 1, 4096, 16)]
    [InlineData(ulong.MaxValue, 1, 1ul << 61)]
    [InlineData(ulong.MaxValue, 1ul << 63, 8)]
    public void A_bitmap_is_whole_words_of_64_bits(ulong length, ulong pageBytes, ulong bytes) =>
        Assert.Equal(bytes, DirtyBitmap.LengthOf(length, pageBytes));

    private byte[] Report(ulong start, ulong length, ulong pageBytes)
    {
        byte[] bitmap = new byte[DirtyBitmap.LengthOf(length, pageBytes)];
        Assert.Equal(Errno.None, _table.ReportLog(new Iova(start), length, pageBytes, bitmap));
        return bitmap;
    }

    private ulong Word(ulong start, ulong length, ulong pageBytes) => BitConverter.ToUInt64(Report(start, length, pageBytes));
}
