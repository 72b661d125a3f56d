using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.Driver;

/// <summary>Memory that a driver has already, mapped for its device.</summary>
public sealed class MapMemoryTests : IDisposable
{
    private const int Page = 4096;
    private readonly FakeDevice _fake = new();
    private readonly PciDevice _device;

    public MapMemoryTests() => _device = new PciDevice(_fake);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void A_buffer_of_one_device_is_a_buffer_of_another_too()
    {
        FakeDevice otherFake = new();
        using PciDevice other = new(otherFake);
        DmaBuffer mine = _device.AllocateDma(2 * Page);
        DmaBuffer theirs = other.MapMemory(mine.Memory, DmaAccess.Read);

        mine.Write64(0x1008, 0x1122334455667788);

        Assert.Equal(0x1122334455667788ul, theirs.Read64(0x1008));
        Assert.Equal(2 * Page, theirs.Length);
        Assert.Equal(DmaAccess.Read, theirs.Access);
        Assert.Equal(new DmaMapping(theirs.Start, 2 * Page, DmaAccess.Read, mine.Memory, 0), otherFake.Mappings[theirs.Start]);
    }

    [Fact]
    public void Memory_stays_with_its_owner_when_the_buffer_is_disposed_and_with_the_buffer_when_its_owner_lets_go()
    {
        SharedDmaMemory memory = new(SharedMemory.Create("own", Page));
        DmaBuffer first = _device.MapMemory(memory);
        DmaBuffer second = _device.MapMemory(memory);
        Assert.NotEqual(first.Start, second.Start);
        first.Write32(4, 7);
        first.Dispose();
        Assert.Throws<ObjectDisposedException>(() => first.Read32(4));
        memory.Release();
        Assert.Equal(7u, second.Read32(4));
        second.Dispose();

        Assert.Empty(_fake.Mappings);
        Assert.Equal(Errno.BadAddress, memory.Read(0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => _device.MapMemory(memory));
    }

    [Fact]
    public void The_driver_may_say_where_the_device_has_it()
    {
        SharedDmaMemory memory = new(SharedMemory.Create("own", 2 * Page));
        Iova start = new(0x4000_0000);
        using (DmaBuffer buffer = _device.MapMemory(memory, start: start))
        {
            Assert.Equal(start, buffer.Start);
            Assert.Equal(start + 0x123, buffer.AddressOf(0x123));
            VfioException refusal = Assert.Throws<VfioException>(() => _device.MapMemory(memory, start: start + Page));
            Assert.Equal(17, (int)refusal.Errno); // EEXIST
            Assert.Contains("mapping of 0x2000 bytes at 0x40001000", refusal.Message, StringComparison.Ordinal);
        }

        // Free again, and the interrupt addresses of x86 were never free.
        _device.MapMemory(memory, start: start).Dispose();
        Assert.Equal(17, (int)Assert.Throws<VfioException>(() => _device.MapMemory(memory, start: new Iova(0xfee0_0000))).Errno);
        memory.Release();
    }

    [Theory]
    [InlineData(0x4000_0800)] // not of a page
    [InlineData(0xffff_f000)] // ends beyond 32 bits
    [InlineData(0x1_0000_0000)]
    [InlineData(0xffff_ffff_ffff_f000)]
    public void An_address_that_the_device_cannot_have_is_an_argument_error_with_the_range(ulong start)
    {
        _device.DmaAddressBits = 32;
        SharedDmaMemory memory = new(SharedMemory.Create("own", 2 * Page));
        ArgumentOutOfRangeException refusal =
            Assert.Throws<ArgumentOutOfRangeException>(() => _device.MapMemory(memory, start: new Iova(start)));
        Assert.Contains("a multiple of 0x1000, from which 0x2000 bytes go up to 0xffffffff at most", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(_fake.Mappings);
        memory.Release();
    }

    [Fact]
    public void The_last_page_of_64_bits_is_nobodys()
    {
        SharedDmaMemory memory = new(SharedMemory.Create("own", Page));
        Assert.Throws<ArgumentOutOfRangeException>(() => _device.MapMemory(memory, start: new Iova(ulong.MaxValue - 4095)));
        memory.Release();
    }

    [Fact]
    public void Part_of_a_file_is_mapped_and_stays_when_the_file_is_closed()
    {
        DmaBuffer buffer;
        using SharedMemory all = SharedMemory.Create("own", 4 * Page);
        using (FileDescriptor file = all.File.Duplicate())
            buffer = _device.MapMemory(file, Page, 2 * Page, DmaAccess.Write);

        buffer.Write32(0, 0xaabbccdd);

        Assert.Equal(0xaabbccddu, all.Read32(Page));
        DmaMapping mapping = _fake.Mappings[buffer.Start];
        Assert.Equal((2 * Page, 0ul, Page), ((int)mapping.Length, mapping.MemoryOffset, (int)mapping.Memory.Shared!.FileOffset));
        buffer.Dispose();
        Assert.Equal(Errno.BadAddress, mapping.Memory.Read(0, new byte[1]));
    }

    [Fact]
    public void A_file_that_can_be_resized_is_mapped_where_its_owner_gives_it()
    {
        using FileDescriptor file = MemoryFile.CreateUnsealed("own", Page);
        DmaBuffer buffer = _device.MapMemory(file, 0, Page);
        buffer.Write64(0, 1);
        Assert.Equal(1ul, buffer.Read64(0));
    }

    [Theory]
    [InlineData(-4096, 4096, "fileOffset")]
    [InlineData(100, 4096, "fileOffset")]
    [InlineData(16384, 4096, "fileOffset")]
    [InlineData(4096, 0, "length")]
    [InlineData(4096, 100, "length")]
    [InlineData(4096, 16384, "length")]
    [InlineData(4096, long.MaxValue - 4095, "length")]
    public void A_part_that_the_file_does_not_have_is_an_argument_error_with_the_range(long fileOffset, long length, string argument)
    {
        using SharedMemory all = SharedMemory.Create("own", 4 * Page);
        ArgumentOutOfRangeException refusal =
            Assert.Throws<ArgumentOutOfRangeException>(() => _device.MapMemory(all.File, fileOffset, length));
        Assert.Equal(argument, refusal.ParamName);
        Assert.Contains(argument == "length" ? "up to 12288" : "below the file's length, 16384", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(_fake.Mappings);
    }

    [Fact]
    public void Memory_that_cannot_be_mapped_is_an_argument_error()
    {
        using SharedMemory odd = SharedMemory.Create("own", 100);
        using SharedMemory whole = SharedMemory.Create("own", Page);
        using FileDescriptor resizable = MemoryFile.CreateUnsealed("own", Page);
        Refuse("not whole pages", new SharedDmaMemory(SharedMemory.Map(odd.File, 0, 100, writable: true)));
        Refuse("can only be read", new SharedDmaMemory(SharedMemory.Map(whole.File, 0, Page, writable: false)));
        Refuse("not mapped into this process", new SharedDmaMemory(SharedMemory.Share(resizable, 0, Page, writable: true)));

        void Refuse(string why, SharedDmaMemory memory)
        {
            Assert.Contains(why, Assert.Throws<ArgumentException>(() => _device.MapMemory(memory)).Message, StringComparison.Ordinal);
            Assert.True(memory.HasOneReference);
            memory.Release();
        }
    }

    [Fact]
    public void A_refused_mapping_keeps_neither_memory_nor_address()
    {
        SharedDmaMemory memory = new(SharedMemory.Create("own", Page));
        Iova start = new(0x4000_0000);
        _fake.Refusal = Errno.NoMemory;
        Assert.Equal(Errno.NoMemory, Assert.Throws<VfioException>(() => _device.MapMemory(memory, start: start)).Errno);
        _fake.Refusal = Errno.None;

        Assert.True(memory.HasOneReference);
        Assert.Equal(start, _device.MapMemory(memory, start: start).Start);
        memory.Release();
    }
}
