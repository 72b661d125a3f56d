using Vfio.Guard;
using Vfio.Guard.Dma;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Guard;

public sealed class DmaTranslateTests : IDisposable
{
    private const ulong Page = 4096;
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("translate-test", 64 * Page));
    private readonly DmaTable _table = new();

    public DmaTranslateTests()
    {
        Map(0x10000, 32 * Page, DmaAccess.ReadWrite);
        Map(0x30000, Page, DmaAccess.Read);
        Map(0x31000, Page, DmaAccess.ReadWrite);
        Map(0xfffffffffffff000, Page, DmaAccess.ReadWrite);
    }

    public void Dispose()
    {
        _table.Clear();
        _memory.Release();
    }

    [Theory]
    [InlineData(0x10000, 1, 1)]
    [InlineData(0x10000, 0x20000, 1)] // longer than one copy, and still one mapping
    [InlineData(0x2ffff, 2, 2)]
    [InlineData(0x2ffff, 0x1002, 3)]
    [InlineData(0xfffffffffffff000, 0x1000, 1)]
    public void Segments_are_mappings(ulong address, ulong length, int segments)
    {
        Assert.Equal(Errno.None, _table.Translate(new Iova(address), length, DmaAccess.Read, out int found));
        Assert.Equal(segments, found);
    }

    [Theory]
    [InlineData(0xffff, 2, DmaAccess.Read, Errno.BadAddress, 0)]
    [InlineData(0x31fff, 2, DmaAccess.Read, Errno.BadAddress, 1)]
    [InlineData(0x2ffff, 0x2000, DmaAccess.Write, Errno.AccessDenied, 1)]
    [InlineData(0x30000, 1, DmaAccess.ReadWrite, Errno.AccessDenied, 0)]
    [InlineData(0xffffffffffffffff, 2, DmaAccess.Read, Errno.BadAddress, 1)]
    public void A_fault_reports_how_many_mappings_are_before_it(ulong address, ulong length, DmaAccess access, Errno error, int segments)
    {
        Assert.Equal(error, _table.Translate(new Iova(address), length, access, out int found));
        Assert.Equal(segments, found);
    }

    [Fact]
    public void No_access_in_particular_is_allowed_wherever_something_is_mapped() =>
        Assert.Equal(Errno.None, _table.Translate(new Iova(0x30000), 1, DmaAccess.None, out _));

    private void Map(ulong start, ulong length, DmaAccess access) =>
        Assert.Equal(Errno.None, _table.Map(new DmaMapping(new Iova(start), length, access, _memory, 0)));
}
