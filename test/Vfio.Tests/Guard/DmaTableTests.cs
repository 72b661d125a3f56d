using Vfio.Guard;
using Vfio.Guard.Dma;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Guard;

public sealed class DmaTableTests : IDisposable
{
    private const ulong Page = 4096;
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("dma-test", 64 * Page));
    private readonly DmaTable _table = new();

    public void Dispose() => _memory.Release();

    [Theory]
    [InlineData(0x1001, 0x1000, 0)]
    [InlineData(0x1000, 0x0fff, 0)]
    [InlineData(0x1000, 0, 0)]
    [InlineData(0xfffffffffffff000, 0x2000, 0)]
    [InlineData(0x1000, 0x1000, 0x40000)]
    [InlineData(0x1000, 0x1000, 0xfffffffffffff000)]
    public void A_range_that_cannot_be_is_EINVAL(ulong start, ulong length, ulong offset) =>
        Assert.Equal(Errno.InvalidArgument, _table.Map(new DmaMapping(new Iova(start), length, DmaAccess.ReadWrite, _memory, offset)));

    [Fact]
    public void Mapping_without_access_is_EINVAL() =>
        Assert.Equal(Errno.InvalidArgument, _table.Map(new DmaMapping(new Iova(0), Page, DmaAccess.None, _memory, 0)));

    [Fact]
    public void The_last_page_of_the_address_space_can_be_used()
    {
        Assert.Equal(Errno.None, Map(0xfffffffffffff000, Page));
        Assert.Equal(Errno.None, _table.Write(new Iova(ulong.MaxValue), [7]));
        Assert.Equal(Errno.BadAddress, _table.Write(new Iova(ulong.MaxValue), [7, 8]));
        Assert.Equal(Errno.None, Map(0, Page));
        Assert.Equal(Errno.BadAddress, _table.Write(new Iova(ulong.MaxValue), [7, 8]));
    }

    [Theory]
    [InlineData(0x2000, 0x1000)]
    [InlineData(0x1000, 0x2000)]
    [InlineData(0x3000, 0x4000)]
    [InlineData(0x0000, 0x9000)]
    public void Overlap_is_EEXIST(ulong start, ulong length)
    {
        Assert.Equal(Errno.None, Map(0x2000, 0x3000));
        Assert.Equal(Errno.Exists, Map(start, length));
        Assert.Equal(1, _table.Count);
    }

    [Fact]
    public void A_full_table_is_ENOMEM()
    {
        DmaTable table = new(maxMappings: 2);
        for (ulong i = 0; i < 2; i++)
            Assert.Equal(Errno.None, table.Map(new DmaMapping(new Iova(i * Page), Page, DmaAccess.Read, _memory, 0)));
        Assert.Equal(Errno.NoMemory, table.Map(new DmaMapping(new Iova(8 * Page), Page, DmaAccess.Read, _memory, 0)));
    }

    [Fact]
    public void A_transfer_runs_across_mappings_that_touch()
    {
        Assert.Equal(Errno.None, Map(0x1000, Page, 8 * Page));
        Assert.Equal(Errno.None, Map(0x2000, Page, 2 * Page));
        byte[] sent = [1, 2, 3, 4, 5, 6, 7, 8];
        Assert.Equal(Errno.None, _table.Write(new Iova(0x1ffd), sent));
        byte[] received = new byte[8];
        Assert.Equal(Errno.None, _table.Read(new Iova(0x1ffd), received));
        Assert.Equal(sent, received);
        Assert.Equal(3, _memory.Shared.Read8((9 * Page) - 1));
        Assert.Equal(4, _memory.Shared.Read8(2 * Page));
        Assert.Equal(Errno.BadAddress, _table.Read(new Iova(0x2ffd), received));
    }

    [Fact]
    public void Permission_decides()
    {
        _table.Map(new DmaMapping(new Iova(0x1000), Page, DmaAccess.Read, _memory, 0));
        _table.Map(new DmaMapping(new Iova(0x2000), Page, DmaAccess.Write, _memory, 0));
        Assert.Equal(Errno.AccessDenied, _table.Write(new Iova(0x1000), [1]));
        Assert.Equal(Errno.AccessDenied, _table.Read(new Iova(0x2000), new byte[1]));
        Assert.Equal(Errno.AccessDenied, _table.Read(new Iova(0x1fff), new byte[2]));
        Assert.Equal(Errno.None, _table.Write(new Iova(0x2000), [1]));
    }

    [Fact]
    public void Unmap_takes_whole_mappings_or_none()
    {
        Map(0x1000, 0x2000);
        Map(0x4000, 0x1000);
        Assert.Equal(Errno.InvalidArgument, _table.Unmap(new Iova(0x1000), 0x1000, out _));
        Assert.Equal(Errno.InvalidArgument, _table.Unmap(new Iova(0x2000), 0x1000, out _));
        Assert.Equal(Errno.InvalidArgument, _table.Unmap(new Iova(0x2000), 0x9000, out _));
        Assert.Equal(Errno.NoEntry, _table.Unmap(new Iova(0x3000), 0x1000, out _));
        Assert.Equal(Errno.InvalidArgument, _table.Unmap(new Iova(0), 0, out _));
        Assert.Equal(2, _table.Count);
        Assert.Equal(Errno.None, _table.Unmap(new Iova(0), 0x10000, out ulong unmapped));
        Assert.Equal(0x3000ul, unmapped);
        Assert.Equal(0, _table.Count);
        Assert.Equal(Errno.BadAddress, _table.Read(new Iova(0x1000), new byte[1]));
    }

    [Fact]
    public void Memory_is_held_while_it_is_mapped()
    {
        FakeMemory memory = new(0x2000);
        _table.Map(new DmaMapping(new Iova(0x1000), Page, DmaAccess.Read, memory, 0));
        _table.Map(new DmaMapping(new Iova(0x8000), Page, DmaAccess.Read, memory, Page));
        memory.Release();
        _table.Unmap(new Iova(0x1000), Page, out _);
        Assert.False(memory.IsFreed);
        _table.Clear();
        Assert.True(memory.IsFreed);
    }

    [Fact]
    public void No_lock_is_held_while_an_owner_is_asked()
    {
        FakeMemory memory = new(0x1000);
        _table.Map(new DmaMapping(new Iova(0x1000), Page, DmaAccess.ReadWrite, memory, 0));

        // From inside the access another thread maps, and this one unmaps the very memory.
        memory.OnAccess = () =>
        {
            Thread other = new(() => Assert.Equal(Errno.None, Map(0x9000, Page)));
            other.Start();
            other.Join();
            Assert.Equal(Errno.None, _table.Unmap(new Iova(0x1000), Page, out _));
            memory.Release();
            Assert.False(memory.IsFreed);
        };
        Assert.Equal(Errno.None, _table.Read(new Iova(0x1000), new byte[16]));
        Assert.True(memory.IsFreed);
        Assert.Equal(Errno.None, _table.Read(new Iova(0x9000), new byte[16]));
    }

    [Fact]
    public void Unmap_waits_for_an_owner_that_answers()
    {
        FakeMemory memory = new(0x1000);
        _table.Map(new DmaMapping(new Iova(0x1000), Page, DmaAccess.ReadWrite, memory, 0));
        using ManualResetEventSlim asked = new();
        using ManualResetEventSlim answer = new();
        memory.OnAccess = () =>
        {
            asked.Set();
            answer.Wait();
        };
        Errno read = Errno.Protocol;
        Thread reader = new(() => read = _table.Read(new Iova(0x1000), new byte[1]));
        reader.Start();
        asked.Wait();
        Thread releaser = new(answer.Set);
        releaser.Start();
        Assert.Equal(Errno.None, _table.Unmap(new Iova(0x1000), Page, out _));
        reader.Join();
        releaser.Join();
        Assert.Equal(Errno.None, read);
    }

    [Fact]
    public void After_unmap_no_access_is_under_way()
    {
        using SharedMemory file = SharedMemory.Create("dma-race", Page);
        bool stop = false;
        Thread[] readers = [.. Enumerable.Range(0, 3).Select(_ => new Thread(() =>
        {
            byte[] bytes = new byte[64];
            while (!Volatile.Read(ref stop))
                _table.Write(new Iova(0x1000), bytes);
        }))];
        foreach (Thread reader in readers)
            reader.Start();
        for (int i = 0; i < 2000; i++)
        {
            // A SharedMemory that is used after its last release throws or faults: no reader may be inside.
            SharedDmaMemory memory = new(SharedMemory.Map(file.File, 0, Page, writable: true));
            Assert.Equal(Errno.None, _table.Map(new DmaMapping(new Iova(0x1000), Page, DmaAccess.ReadWrite, memory, 0)));
            memory.Release();
            Assert.Equal(Errno.None, _table.Unmap(new Iova(0x1000), Page, out _));
        }

        Volatile.Write(ref stop, true);
        foreach (Thread reader in readers)
            reader.Join();
    }

    [Theory]
    [InlineData(1, 40)]
    [InlineData(2, 40)]
    [InlineData(3, 4000)]
    [InlineData(4, 4000)]
    public void Does_what_a_list_of_pages_does(int seed, int pages)
    {
        Random random = new(seed);
        int?[] naive = new int?[pages + 8];
        int mappings = 0;
        for (int step = 0; step < 6000; step++)
        {
            int start = random.Next(pages);
            int count = random.Next(1, random.Next(20) == 0 ? Math.Min(600, pages) : 4);
            count = Math.Min(count, naive.Length - start);
            if (random.Next(5) < 3)
            {
                count = Math.Min(count, 8);
                Errno expected = naive.AsSpan(start, count).IndexOfAnyExcept((int?)null) >= 0 ? Errno.Exists : Errno.None;
                Assert.Equal(expected, Map((ulong)start * Page, (ulong)count * Page));
                if (expected == Errno.None)
                    naive.AsSpan(start, count).Fill(++mappings);
            }
            else
            {
                Errno expected = NaiveUnmap(naive, start, count, out ulong bytes);
                Assert.Equal(expected, _table.Unmap(new Iova((ulong)start * Page), (ulong)count * Page, out ulong unmapped));
                Assert.Equal(bytes, unmapped);
            }

            int probe = random.Next(naive.Length - 1);
            Errno access = naive[probe] is not null && naive[probe + 1] is not null ? Errno.None : Errno.BadAddress;
            Assert.Equal(access, _table.Read(new Iova(((ulong)probe * Page) + 4090), new byte[12]));
            Assert.Equal(naive.Where(id => id is not null).Distinct().Count(), _table.Count);
        }

        _table.Clear();
        Assert.Equal(0, _table.Count);
    }

    [Fact]
    public void Sixty_five_thousand_mappings_take_at_most_70_bytes_each()
    {
        const int Count = 65_000;
        int[] order = [.. Enumerable.Range(0, Count)];
        new Random(1).Shuffle(order);
        DmaTable table = new();
        Errno worst = Errno.None;

        // All that this thread allocates is counted, so what stays is at most this.
        long before = GC.GetAllocatedBytesForCurrentThread();
        foreach (int i in order)
            worst |= table.Map(new DmaMapping(new Iova((ulong)i * 2 * Page), Page, DmaAccess.ReadWrite, _memory, 0));
        long bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(Errno.None, worst);
        Assert.True(bytes < 70 * Count, $"{bytes / Count} bytes a mapping");
        byte[] one = new byte[1];
        foreach (int i in order)
        {
            Assert.Equal(Errno.None, table.Read(new Iova((ulong)i * 2 * Page), one));
            Assert.Equal(Errno.BadAddress, table.Read(new Iova((((ulong)i * 2) + 1) * Page), one));
        }

        table.Clear();
    }

    private static Errno NaiveUnmap(int?[] pages, int start, int count, out ulong bytes)
    {
        bytes = 0;
        int end = start + count;
        bool cutsStart = start > 0 && pages[start] is not null && pages[start] == pages[start - 1];
        bool cutsEnd = end < pages.Length && pages[end] is not null && pages[end] == pages[end - 1];
        if (cutsStart || cutsEnd)
            return Errno.InvalidArgument;
        bytes = (ulong)pages.AsSpan(start, count).ToArray().Count(id => id is not null) * Page;
        pages.AsSpan(start, count).Clear();
        return bytes == 0 ? Errno.NoEntry : Errno.None;
    }

    private Errno Map(ulong start, ulong length, ulong offset = 0) =>
        _table.Map(new DmaMapping(new Iova(start), length, DmaAccess.ReadWrite, _memory, offset));
}
