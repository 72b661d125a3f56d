using Vfio.Native;
using Vfio.Native.Memory;
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

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void A_register_of_a_type_is_one_access_of_its_size(int number)
    {
        using SharedMemory memory = SharedMemory.Create("bar", 0x1000);
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        _fake.AddMappable(RegionIndex.Bar(2), memory.File, 0x1000);
        Bar bar = _device.OpenBar(number);
        _fake.Widths = [];

        bar.Write(0x11, Mode.Fast);
        bar.Write(0x12, new Index(0x8283));
        bar.Write(0x14, new Control(0x84858687));
        bar.Write(0x18, new Address(0x88898a8b8c8d8e8f));
        bar.Write(0x20, new Pair(Low: 1, High: 2));

        Assert.Equal(Mode.Fast, bar.Read<Mode>(0x11));
        Assert.Equal(new Index(0x8283), bar.Read<Index>(0x12));
        Assert.Equal(new Control(0x84858687), bar.Read<Control>(0x14));
        Assert.True(bar.Read<Control>(0x14).IsEnabled);
        Assert.Equal(new Address(0x88898a8b8c8d8e8f), bar.Read<Address>(0x18));
        Assert.Equal(new Pair(1, 2), bar.Read<Pair>(0x20));
        Assert.Equal(0x0000_0002_0000_0001ul, bar.Read64(0x20));
        Assert.Equal(0x84858687u, bar.Read32(0x14));
        Assert.Equal(number == 0 ? [1, 2, 4, 8, 8, 1, 2, 4, 4, 8, 8, 8, 4] : [], _fake.Widths);
    }

    [Fact]
    public void A_type_of_another_size_is_an_argument_error_with_the_sizes_and_no_access()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        int before = _fake.Accesses;

        ArgumentException refusal = Assert.Throws<ArgumentException>(() => bar.Read<Triple>(0));
        Assert.Contains("Triple has 3 bytes: a register has 1, 2, 4 or 8", refusal.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => bar.Write(0, default(Triple)));
        Assert.Throws<ArgumentException>(() => bar.Write(0, Guid.Empty));
        Assert.Throws<ArgumentOutOfRangeException>(() => bar.Read<Control>(0x12));
        Assert.Throws<ArgumentOutOfRangeException>(() => bar.Write(0xffe, new Control(0)));
        Assert.Equal(before, _fake.Accesses);
    }

    [Fact]
    public void Bytes_are_bytes_and_no_register()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        byte[] array = [1, 2, 3];
        Span<byte> span = [4, 5, 6];
        bar.Write(0x10, array);
        bar.Write(0x13, span);
        bar.Write(0x16, [7, 8]);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], _fake.Region(RegionIndex.Bar0)[0x10..0x18]);
    }

    [Fact]
    public void An_access_outside_tells_the_offsets_that_there_are()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        Bar bar = _device.OpenBar(0);
        Assert.Contains("0x0 to 0xffc in multiples of 4", Refusal(() => bar.Read32(0xffe)), StringComparison.Ordinal);
        Assert.Contains("0x0 to 0xfff do", Refusal(() => bar.Write8(0x1000, 0)), StringComparison.Ordinal);
        Assert.Contains("0x0 to 0xffd do", Refusal(() => bar.Read(0xffe, new byte[3])), StringComparison.Ordinal);
        Assert.Contains("longer than that", Refusal(() => bar.Read(0, new byte[0x1001])), StringComparison.Ordinal);
        Assert.Contains("0x0 to 0xfc in multiples of 4", Refusal(() => _device.Config.Read32(0xfe)), StringComparison.Ordinal);
        Assert.Contains("BARs are 0 to 5", Refusal(() => _device.OpenBar(-1)), StringComparison.Ordinal);

        static string Refusal(Action access) => Assert.Throws<ArgumentOutOfRangeException>(access).Message;
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
                bar.Write(4, bar.Read<Control>(4));
                bar.Read(1, copy);
                bar.Write(1, copy);
            }
        }));
    }

    private enum Mode : byte
    {
        Slow,
        Fast = 0x81,
    }

    private readonly record struct Index(ushort Raw);

    private readonly record struct Control(uint Raw)
    {
        public bool IsEnabled => (Raw & 1) != 0;
    }

    private readonly record struct Address(ulong Raw);

    private readonly record struct Pair(uint Low, uint High);

    private readonly record struct Triple(byte A, byte B, byte C);
}
