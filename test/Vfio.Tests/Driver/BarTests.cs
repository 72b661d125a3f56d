using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Driver;

public sealed class BarTests : IDisposable
{
    private readonly FakeDevice _fake = new();
    private readonly PciDevice _device;

    public BarTests() => _device = new PciDevice(_fake);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void An_unmapped_bar_makes_one_access_of_the_width_in_the_name()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        _fake.Widths = [];

        bar.Write8(0x11, 0x81);
        bar.Write16(0x12, 0x8283);
        bar.Write32(0x14, 0x84858687);
        bar.Write64(0x18, 0x88898a8b8c8d8e8f);

        Assert.Equal(0x81, bar.Read8(0x11));
        Assert.Equal(0x8283, bar.Read16(0x12));
        Assert.Equal(0x84858687, bar.Read32(0x14));
        Assert.Equal(0x88898a8b8c8d8e8f, bar.Read64(0x18));
        Assert.Equal([1, 2, 4, 8, 1, 2, 4, 8], _fake.Widths);
        Assert.Equal([0x83, 0x82, 0x87, 0x86, 0x85, 0x84], _fake.Region(RegionIndex.Bar0)[0x12..0x18]);
    }

    [Fact]
    public void A_mapped_bar_reaches_memory_and_sends_no_message()
    {
        using SharedMemory memory = SharedMemory.Create("bar", 0x2000);
        _fake.AddMappable(RegionIndex.Bar(2), memory.File, 0x2000);
        Bar bar = _device.OpenBar(2);
        int before = _fake.Accesses;

        bar.Write8(0x1001, 1);
        bar.Write16(0x1002, 2);
        bar.Write32(0x1004, 3);
        bar.Write64(0x1008, 4);
        memory.Write32(0x1ffc, 5);

        Assert.Equal(1, memory.Read8(0x1001));
        Assert.Equal(2, memory.Read16(0x1002));
        Assert.Equal(3u, memory.Read32(0x1004));
        Assert.Equal(4ul, memory.Read64(0x1008));
        Assert.Equal(5u, bar.Read32(0x1ffc));
        Assert.Equal(before, _fake.Accesses);
    }

    [Fact]
    public void Pages_that_may_not_be_mapped_are_reached_by_messages()
    {
        using SharedMemory memory = SharedMemory.Create("bar", 0x4000);
        _fake.AddMappable(RegionIndex.Bar0, memory.File, 0x4000, new MmapArea(0, 0x1000), new MmapArea(0x3000, 0x1000));
        Bar bar = _device.OpenBar(0);
        Assert.Equal([true, false, false, true], new long[] { 0xfff, 0x1000, 0x2fff, 0x3000 }.Select(bar.IsMapped));

        bar.Write32(0x2004, 7);
        bar.Write32(0x3004, 8);

        Assert.Equal((RegionIndex.Bar0, 0x2004ul, 4), _fake.LastAccess);
        Assert.Equal(0u, memory.Read32(0x2004));
        Assert.Equal(8u, memory.Read32(0x3004));
    }

    [Fact]
    public void A_file_that_can_shrink_is_not_mapped()
    {
        using FileDescriptor file = MemoryFile.CreateUnsealed("bar", 0x1000);
        _fake.AddMappable(RegionIndex.Bar0, file, 0x1000);
        Bar bar = _device.OpenBar(0);
        MemoryFile.Resize(file, 0);

        bar.Write32(0, 0x12345678);

        Assert.False(bar.IsMapped(0));
        Assert.Equal(0x12345678u, bar.Read32(0));
    }

    [Theory]
    [InlineData(-4, 4)]
    [InlineData(2, 4)]
    [InlineData(0xffd, 4)]
    [InlineData(0x1000, 1)]
    [InlineData(0xffc, 8)]
    [InlineData(long.MinValue, 8)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(1, 2)]
    public void An_access_outside_or_across_its_width_is_an_argument_error(long offset, int width)
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        using SharedMemory memory = SharedMemory.Create("bar", 0x1000);
        _fake.AddMappable(RegionIndex.Bar(2), memory.File, 0x1000);
        foreach (Bar bar in new[] { _device.OpenBar(0), _device.OpenBar(2) })
        {
            Action read = width switch
            {
                1 => () => bar.Read8(offset),
                2 => () => bar.Read16(offset),
                4 => () => bar.Read32(offset),
                _ => () => bar.Read64(offset),
            };
            Action write = width switch
            {
                1 => () => bar.Write8(offset, 0),
                2 => () => bar.Write16(offset, 0),
                4 => () => bar.Write32(offset, 0),
                _ => () => bar.Write64(offset, 0),
            };
            Assert.Throws<ArgumentOutOfRangeException>(read);
            Assert.Throws<ArgumentOutOfRangeException>(write);
        }
    }

    [Theory]
    [InlineData(0x1, 0x12, 8, new[] { 1, 2, 4, 8, 2, 1 })]
    [InlineData(0x8, 0x10, 8, new[] { 8, 8 })]
    [InlineData(0x8, 0x10, 4, new[] { 4, 4, 4, 4 })]
    [InlineData(0x2, 0x3, 1, new[] { 1, 1, 1 })]
    [InlineData(0xff8, 0x0, 8, new int[0])]
    public void Copies_use_natural_widths_up_to_the_widest_allowed(long offset, int count, int maxWidth, int[] widths)
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        byte[] sent = [.. Enumerable.Range(1, count).Select(i => (byte)i)];
        byte[] received = new byte[count];

        _fake.Widths = [];
        bar.Write(offset, sent, maxWidth);
        Assert.Equal(widths, _fake.Widths);

        _fake.Widths = [];
        bar.Read(offset, received, maxWidth);
        Assert.Equal(widths, _fake.Widths);
        Assert.Equal(sent, received);
    }

    [Fact]
    public void A_copy_that_leaves_the_bar_changes_nothing()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        byte[] bytes = [1, 2, 3, 4, 5, 6, 7, 8];

        Assert.Throws<ArgumentOutOfRangeException>(() => bar.Write(0xffc, bytes));
        Assert.Throws<ArgumentOutOfRangeException>(() => bar.Write(0, bytes, maxWidth: 3));
        Assert.All(_fake.Region(RegionIndex.Bar0), value => Assert.Equal(0, value));
    }

    [Fact]
    public void Waiting_for_bits_looks_at_them_alone_and_gives_up_in_time()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        bar.Write32(8, 0xf5);

        Assert.True(bar.WaitFor32(8, mask: 0x0f, value: 0x05, HangGuard.Timeout));
        Assert.False(bar.WaitFor32(8, mask: 0x0f, value: 0x04, TimeSpan.FromMilliseconds(1)));
    }

    [Fact]
    public void Use_after_the_device_is_released_is_an_error()
    {
        using SharedMemory memory = SharedMemory.Create("bar", 0x1000);
        _fake.AddMappable(RegionIndex.Bar0, memory.File, 0x1000);
        Bar bar = _device.OpenBar(0);
        _device.Dispose();

        Assert.Throws<ObjectDisposedException>(() => bar.Read32(0));
        Assert.Throws<ObjectDisposedException>(() => bar.Write32(0, 1));
    }

    [Fact]
    public void Accesses_allocate_nothing()
    {
        using SharedMemory memory = SharedMemory.Create("bar", 0x1000);
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        _fake.AddMappable(RegionIndex.Bar(2), memory.File, 0x1000);
        Bar[] bars = [_device.OpenBar(0), _device.OpenBar(2)];
        Assert.Equal(0, Measure.Allocations(() =>
        {
            Span<byte> copy = stackalloc byte[31];
            foreach (Bar bar in bars)
            {
                bar.Write8(1, bar.Read8(1));
                bar.Write16(2, bar.Read16(2));
                bar.Write32(4, bar.Read32(4));
                bar.Write64(8, bar.Read64(8));
                bar.Read(1, copy);
                bar.Write(1, copy);
            }
        }));
    }
}
