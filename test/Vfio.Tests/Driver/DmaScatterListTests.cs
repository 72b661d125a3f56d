namespace Vfio.Tests.Driver;

public sealed class DmaScatterListTests : IDisposable
{
    private const int Page = 4096;
    private readonly PciDevice _device = new(new FakeDevice());
    private readonly DmaScatterList _list = new();

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Pieces_are_one_range_of_bytes()
    {
        DmaBuffer first = _device.AllocateDma(Page);
        DmaBuffer second = _device.AllocateDma(Page);
        using DmaPool pool = new(_device, blockBytes: 16, count: 2);
        DmaBlock block = pool.Allocate();
        _list.Add(second, Page - 3, 3);
        _list.Add(block, 4, 5);
        _list.Add(first, 7, 0);
        _list.Add(first, 8, 4);

        _list.Write(0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

        Assert.Equal(12, _list.Length);
        byte[] bytes = new byte[12];
        _list.Read(0, bytes);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], bytes);
        _list.Read(2, bytes.AsSpan(0, 7));
        Assert.Equal([3, 4, 5, 6, 7, 8, 9], bytes[..7]);
        Assert.Equal((2, 3), (second.Read8(Page - 2), second.Read8(Page - 1)));
        Assert.Equal((0x07060504u, 8), (block.Read32(4), block.Read8(8)));
        Assert.Equal(0x0c0b0a09u, first.Read32(8));
        _list.Read(12, []);
    }

    [Fact]
    public void Pieces_that_adjoin_on_the_bus_are_one_segment_unless_a_limit_cuts_it()
    {
        DmaBuffer buffer = _device.AllocateDma(4 * Page);
        _list.Add(buffer, 0x800, 0x800);
        _list.Add(buffer, 0x1000, 0x1800);
        _list.Add(buffer, 0x3000, 0x10);

        Assert.Equal([(0x800, 0x2000), (0x3000, 0x10)], Segments());
        Assert.Equal([(0x800, 0x800), (0x1000, 0x1000), (0x2000, 0x800), (0x3000, 0x10)], Segments(boundary: Page));
        Assert.Equal([(0x800, 0xc00), (0x1400, 0xc00), (0x2000, 0x800), (0x3000, 0x10)], Segments(max: 0xc00));
        Assert.Equal(
            [(0x800, 0x800), (0x1000, 0xc00), (0x1c00, 0x400), (0x2000, 0x800), (0x3000, 0x10)], Segments(max: 0xc00, boundary: Page));

        (int Start, int Length)[] Segments(long max = long.MaxValue, long boundary = 0)
        {
            DmaSegment[] segments = new DmaSegment[8];
            int count = _list.GetSegments(segments, max, boundary);
            Assert.Equal(count, _list.GetSegments([], max, boundary));
            return [.. segments[..count].Select(segment => ((int)(segment.Start.Value - buffer.Start.Value), (int)segment.Length))];
        }
    }

    /// <summary>NVM Express 1.0e, section 4.3: the first entry may start inside of a page, all others are pages.</summary>
    [Fact]
    public void Pages_of_buffers_that_are_apart_are_PRP_entries()
    {
        DmaBuffer[] pages = [.. Enumerable.Range(0, 3).Select(_ => _device.AllocateDma(Page))];
        _list.Add(pages[2], 0x200, Page - 0x200);
        _list.Add(pages[0]);
        _list.Add(pages[1], 0, 0x100);

        Span<DmaSegment> entries = stackalloc DmaSegment[3];
        Assert.Equal(3, _list.GetSegments(entries, boundaryBytes: Page));
        Assert.Equal([pages[2].AddressOf(0x200), pages[0].Start, pages[1].Start], entries.ToArray().Select(entry => entry.Start));
        Assert.Equal([Page - 0x200, Page, 0x100], entries.ToArray().Select(entry => entry.Length));
    }

    [Fact]
    public void Where_there_is_no_room_for_all_segments_the_first_are_there_and_their_number_is_told()
    {
        DmaBuffer buffer = _device.AllocateDma(4 * Page);
        _list.Add(buffer);
        DmaSegment[] segments = new DmaSegment[2];
        Assert.Equal(4, _list.GetSegments(segments, maxBytes: Page));
        Assert.Equal([new DmaSegment(buffer.Start, Page), new DmaSegment(buffer.AddressOf(Page), Page)], segments);
    }

    [Fact]
    public void Segments_of_any_list_hold_to_the_limits_and_cover_its_bytes_in_order()
    {
        Random random = new(7);
        DmaBuffer[] buffers = [.. Enumerable.Range(1, 4).Select(pages => _device.AllocateDma(pages * Page))];
        DmaSegment[] segments = new DmaSegment[1024];
        for (int round = 0; round < 500; round++)
        {
            _list.Clear();
            List<ulong> expected = [];
            for (int i = random.Next(6); i > 0; i--)
            {
                DmaBuffer buffer = buffers[random.Next(buffers.Length)];
                long offset = random.NextInt64(buffer.Length);
                long length = random.NextInt64(Math.Min(buffer.Length - offset, 3000) + 1);
                _list.Add(buffer, offset, length);
                for (long at = offset; at < offset + length; at++)
                    expected.Add(buffer.AddressOf(at).Value);
            }

            long max = random.Next(3) == 0 ? long.MaxValue : random.Next(50, 5000);
            long boundary = random.Next(3) == 0 ? 0 : 1L << random.Next(6, 13);
            int count = _list.GetSegments(segments, max, boundary);

            Assert.Equal(expected.Count, _list.Length);
            Assert.Equal(expected, segments[..count].SelectMany(segment => Enumerable.Range(0, (int)segment.Length), (segment, at) => segment.Start.Value + (ulong)at));
            foreach (DmaSegment segment in segments[..count])
            {
                Assert.InRange(segment.Length, 1, max);
                if (boundary > 0)
                    Assert.Equal(segment.Start.Value / (ulong)boundary, (segment.Start.Value + (ulong)segment.Length - 1) / (ulong)boundary);
            }
        }
    }

    [Fact]
    public void What_does_not_fit_is_an_argument_error_with_the_range()
    {
        DmaBuffer buffer = _device.AllocateDma(Page);
        Assert.Throws<ArgumentOutOfRangeException>(() => _list.Add(buffer, -1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => _list.Add(buffer, Page + 1, 0));
        Assert.Contains(
            "0 to 96 bytes", Assert.Throws<ArgumentOutOfRangeException>(() => _list.Add(buffer, 4000, 97)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => _list.Add(buffer, 0, -1));
        _list.Add(buffer, 0, 100);
        Assert.Throws<ArgumentOutOfRangeException>(() => _list.Read(-1, new byte[1]));
        Assert.Contains(
            "offsets of 0x0 to 0x63 do", Assert.Throws<ArgumentOutOfRangeException>(() => _list.Write(100, new byte[1])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => _list.GetSegments([], maxBytes: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => _list.GetSegments([], boundaryBytes: 3000));
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _list.Read(0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => _list.GetSegments([]));
        Assert.Throws<ObjectDisposedException>(() => _list.Add(buffer));
    }

    [Fact]
    public void A_list_that_is_used_again_allocates_nothing()
    {
        DmaBuffer buffer = _device.AllocateDma(4 * Page);
        byte[] bytes = new byte[2 * Page];
        Assert.Equal(0, Measure.Allocations(() =>
        {
            Span<DmaSegment> segments = stackalloc DmaSegment[8];
            _list.Clear();
            _list.Add(buffer, 100, Page);
            _list.Add(buffer, 2 * Page, Page);
            _list.Write(0, bytes);
            _list.Read(0, bytes);
            _ = _list.GetSegments(segments, boundaryBytes: Page);
        }));
    }
}
