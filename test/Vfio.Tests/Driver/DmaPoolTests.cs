using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Vfio.Tests.Driver;

public sealed class DmaPoolTests : IDisposable
{
    private readonly FakeDevice _fake = new();
    private readonly PciDevice _device;

    public DmaPoolTests() => _device = new PciDevice(_fake);

    public void Dispose() => _device.Dispose();

    // Size, alignment asked for, alignment, pages that it takes to hold 10 blocks.
    [Theory]
    [InlineData(1, 0, 8, 1)]
    [InlineData(16, 0, 16, 1)]
    [InlineData(48, 0, 64, 1)]
    [InlineData(48, 16, 16, 1)]
    [InlineData(48, 1, 8, 1)]
    [InlineData(1000, 8, 8, 3)] // four in a page
    [InlineData(1500, 0, 2048, 5)]
    [InlineData(2049, 0, 4096, 10)]
    [InlineData(3000, 8, 8, 10)]
    [InlineData(4096, 64, 64, 10)]
    [InlineData(5000, 0, 4096, 20)]
    [InlineData(6144, 64, 64, 15)]
    public void Blocks_are_apart_aligned_and_cross_no_page_that_they_fit(int bytes, int asked, int alignment, int pages)
    {
        using DmaPool pool = new(_device, bytes, count: 10, asked);
        DmaBlock[] blocks = [.. Enumerable.Range(0, 10).Select(_ => pool.Allocate()).OrderBy(block => block.Start)];

        Assert.Equal((bytes, alignment, 10, 0), (pool.BlockBytes, pool.Alignment, pool.Count, pool.FreeCount));
        Assert.Equal((ulong)pages * 4096, Assert.Single(_fake.Mappings).Value.Length);
        Assert.All(blocks, block => Assert.Equal(0ul, block.Start.Value % (ulong)alignment));
        Assert.All(blocks.Zip(blocks.Skip(1)), pair => Assert.True(pair.First.Start + (ulong)bytes <= pair.Second.Start));
        if (bytes <= 4096)
            Assert.All(blocks, block => Assert.Equal(block.Start.Value / 4096, (block.Start.Value + (ulong)bytes - 1) / 4096));
        Assert.All(blocks, block => block.Write(0, new byte[bytes]));
    }

    [Fact]
    public void The_device_sees_what_is_written_to_a_block_and_the_other_way_round()
    {
        using DmaPool pool = new(_device, blockBytes: 64, count: 4);
        pool.Allocate();
        DmaBlock block = pool.Allocate();
        DmaMapping mapping = Assert.Single(_fake.Mappings).Value;
        ulong at = block.Start.Value - mapping.Start.Value;

        block.Write8(0, 1);
        block.Write16(2, 0x0203);
        block.Write32(4, 0x04050607);
        block.Write64(8, 0x08090a0b0c0d0e0f);
        block.Write(0x10, new Descriptor { Address = 0x1122334455667788, Length = 0x99aa });
        block.Write(0x20, [9, 8, 7]);
        byte[] seen = new byte[0x23];
        Assert.Equal(Errno.None, mapping.Memory.Read(at, seen));

        Assert.Equal("01000302070605040F0E0D0C0B0A09088877665544332211AA99000000000000090807", Convert.ToHexString(seen));
        Assert.Equal((1, 0x0203, 0x04050607u, 0x08090a0b0c0d0e0ful), (block.Read8(0), block.Read16(2), block.Read32(4), block.Read64(8)));
        Assert.Equal(0x99aa, block.Read<Descriptor>(0x10).Length);
        Assert.Equal(Errno.None, mapping.Memory.Write(at + 0x3f, [0x77]));
        Assert.Equal(0x77, block.Read8(0x3f));
        block.Clear();
        Assert.Equal(0, block.Read8(0x3f));
    }

    [Fact]
    public void A_block_is_free_again_once_it_was_freed_and_when_none_is_there_is_ENOSPC()
    {
        using DmaPool pool = new(_device, blockBytes: 64, count: 2);
        using (DmaBlock first = pool.Allocate())
        {
            DmaBlock second = pool.Allocate();
            Assert.NotEqual(first.Start, second.Start);
            Assert.False(pool.TryAllocate(out _));
            VfioException refusal = Assert.Throws<VfioException>(() => pool.Allocate());
            Assert.Equal(28, (int)refusal.Errno); // ENOSPC
            Assert.Contains("all 2 are in use", refusal.Message, StringComparison.Ordinal);
            pool.Free(second);
            Assert.Equal(1, pool.FreeCount);
        }

        Assert.Equal(2, pool.FreeCount);
    }

    [Fact]
    public void A_block_that_is_freed_twice_is_not_handed_out_twice()
    {
        using DmaPool pool = new(_device, blockBytes: 64, count: 2);
        using DmaPool other = new(_device, blockBytes: 64, count: 2);
        DmaBlock block = pool.Allocate();
        pool.Free(block);
        Assert.Throws<ArgumentException>(() => pool.Free(block));
        block.Dispose();
        Assert.Equal(2, pool.FreeCount);

        DmaBlock again = pool.Allocate();
        Assert.Equal(block.Start, again.Start);
        block.Dispose();
        Assert.Throws<ArgumentException>(() => pool.Free(block));
        Assert.Throws<ArgumentException>(() => other.Free(again));
        Assert.NotEqual(again.Start, pool.Allocate().Start);
        Assert.False(pool.TryAllocate(out _));
    }

    [Fact]
    public void A_block_that_was_freed_cannot_be_used_though_another_has_its_memory()
    {
        using DmaPool pool = new(_device, blockBytes: 64, count: 1);
        DmaBlock stale = pool.Allocate();
        pool.Free(stale);
        DmaBlock block = pool.Allocate();
        Assert.Throws<ObjectDisposedException>(() => stale.Write32(0, 1));
        Assert.Throws<ObjectDisposedException>(() => stale.Read(0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(stale.Clear);
        Assert.Equal(0u, block.Read32(0));
    }

    [Fact]
    public void An_access_that_leaves_the_block_is_an_argument_error_with_the_range()
    {
        using DmaPool pool = new(_device, blockBytes: 64, count: 3);
        DmaBlock block = pool.Allocate();
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Read32(-4));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Read32(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Write(60, new byte[5]));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Write(0, new byte[65]));
        ArgumentOutOfRangeException refusal = Assert.Throws<ArgumentOutOfRangeException>(() => block.Write64(60, 0));
        Assert.Contains("offsets of 0x0 to 0x38 do", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 1, 0, "blockBytes")]
    [InlineData(int.MaxValue, 1, 0, "blockBytes")]
    [InlineData(64, 0, 0, "count")]
    [InlineData(64, 1, 3, "alignmentBytes")]
    [InlineData(64, 1, 8192, "alignmentBytes")]
    [InlineData(64, 1, -8, "alignmentBytes")]
    public void A_pool_of_impossible_blocks_is_an_argument_error(int bytes, int count, int alignment, string argument) => Assert.Equal(
        argument, Assert.Throws<ArgumentOutOfRangeException>(() => new DmaPool(_device, bytes, count, alignment)).ParamName);

    [Fact]
    public void No_two_threads_have_a_block_at_the_same_time()
    {
        const int Threads = 4, Rounds = 20_000;
        using DmaPool pool = new(_device, blockBytes: 32, count: 7);
        ConcurrentDictionary<Iova, int> owners = [];
        ConcurrentQueue<string> failures = [];
        Thread[] threads = [.. Enumerable.Range(1, Threads).Select(id => new Thread(() => Work(id)))];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        Assert.Empty(failures);
        Assert.Equal(7, pool.FreeCount);

        void Work(int id)
        {
            List<DmaBlock> mine = [];
            Random random = new(id);
            for (int i = 0; i < Rounds; i++)
            {
                if (random.Next(2) == 0 && pool.TryAllocate(out DmaBlock block))
                {
                    if (!owners.TryAdd(block.Start, id))
                        failures.Enqueue($"{block} is of {owners[block.Start]} and {id}");
                    mine.Add(block);
                }
                else if (mine.Count > 0)
                {
                    DmaBlock last = mine[^1];
                    mine.RemoveAt(mine.Count - 1);
                    owners.TryRemove(last.Start, out _);
                    pool.Free(last);
                }
            }

            foreach (DmaBlock block in mine)
            {
                owners.TryRemove(block.Start, out _);
                pool.Free(block);
            }
        }
    }

    [Fact]
    public void Disposing_takes_all_blocks_away()
    {
        DmaPool pool = new(_device, blockBytes: 64, count: 1);
        DmaBlock block = pool.Allocate();
        pool.Dispose();
        pool.Dispose();
        Assert.Empty(_fake.Mappings);
        Assert.Throws<ObjectDisposedException>(() => block.Read32(0));
        Assert.Throws<ObjectDisposedException>(() => pool.TryAllocate(out _));
        block.Dispose();
    }

    [Fact]
    public void To_allocate_use_and_free_a_block_allocates_nothing()
    {
        using DmaPool pool = new(_device, blockBytes: 64, count: 2);
        Assert.Equal(0, Measure.Allocations(() =>
        {
            using DmaBlock block = pool.Allocate();
            block.Write64(8, block.Read64(0));
            block.Write(0x10, block.Read<Descriptor>(0x20));
            _ = block.Start;
            DmaBlock other = pool.Allocate();
            pool.Free(other);
        }));
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct Descriptor
    {
        public ulong Address;
        public ushort Length;
    }
}
