using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.User;

/// <summary>Which parts of a region a client maps, by what its server says of them: as QEMU takes it (<c>vfio_setup_region_sparse_mmaps</c>),
/// and never more than that.</summary>
public sealed class MmapAreaTests
{
    private const ulong Bytes = 0x10000;

    // argsz, flags, index, cap_offset, size, offset; then capabilities: id, version, next, and for sparse mmap a count, 0 and areas.
    public static TheoryData<string, object[], (ulong Start, ulong Length)[]> Replies => new()
    {
        { "no capability", [32, 7, 0, 0, Bytes, 0ul], [(0, Bytes)] },
        { "another capability", [40, 15, 0, 32, Bytes, 0ul, (ushort)9, (ushort)1, 0], [(0, Bytes)] },
        { "no areas", [48, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 0, 0], [] },
        { "an empty area", [64, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 0ul, 0ul], [] },
        { "an empty area past the region", [64, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 1, 0, ulong.MaxValue, 0ul], [] },
        { "an empty area before one", [80, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0ul, 0ul, 0x1000ul, 0x1000ul], [(0x1000, 0x1000)] },
        { "another order", [80, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0x4000ul, 0x1000ul, 0x1000ul, 0x1000ul],
            [(0x1000, 0x1000), (0x4000, 0x1000)] },
        { "an overlap", [80, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0x2000ul, 0x2000ul, 0x1000ul, 0x2000ul], [(0x1000, 0x3000)] },
        { "one inside the other", [80, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0ul, 0x4000ul, 0x1000ul, 0x1000ul], [(0, 0x4000)] },
        { "the same twice", [80, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0ul, 0x1000ul, 0ul, 0x1000ul], [(0, 0x1000)] },
        { "the last page", [64, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 0, 1, 0, Bytes - 0x1000, 0x1000ul], [(Bytes - 0x1000, 0x1000)] },
        { "a backward link", [72, 15, 0, 64, Bytes, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 0x1000ul, 0x1000ul, (ushort)9, (ushort)1, 32],
            [(0x1000, 0x1000)] },
        { "a loop after the areas", [64, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 32, 1, 0, 0x1000ul, 0x1000ul], [(0x1000, 0x1000)] },
        { "areas told twice", [96, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)1, 64, 1, 0, 0x1000ul, 0x1000ul, (ushort)1, (ushort)1, 0, 1, 0, 0ul, 0x4000ul],
            [(0x1000, 0x1000)] },
        { "a later version", [48, 15, 0, 32, Bytes, 0ul, (ushort)1, (ushort)2, 0, 0, 0], [] },
        { "capabilities that do not fit any reply", [uint.MaxValue, 15, 0, 0, Bytes, 0ul], [] },
        { "capabilities that are not there", [32, 15, 0, 0, Bytes, 0ul], [] },
    };

    [Theory]
    [MemberData(nameof(Replies), DisableDiscoveryEnumeration = true)]
    public void A_client_maps_what_its_server_names(string what, object[] reply, (ulong Start, ulong Length)[] areas)
    {
        string name = $"areas-{what}";
        using OpenedClient opened = new();
        using FileDescriptor file = MemoryFile.Create(name, Bytes);
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, reply), file));
        RegionInfo region = opened.Client.GetRegion(RegionIndex.Bar0);
        Assert.Equal(Bytes, region.Length);
        Assert.True(region.IsMappable == (areas.Length > 0), what);
        using (Bar bar = new(opened.Client, region))
        {
            for (ulong page = 0; page < Bytes; page += 0x1000)
            {
                bool isNamed = Array.Exists(areas, area => page >= area.Start && page - area.Start < area.Length);
                Assert.True(bar.IsMapped((long)page) == isNamed, $"{what}: 0x{page:x}");
            }
        }

        // One is the test's own; one is the region's where there is something to map.
        Assert.Equal(areas.Length > 0 ? 2 : 1, OpenDescriptors.OfMemoryFile(name));
        Assert.Equal(0, OpenDescriptors.MappingsOf(name));
    }

    [Fact]
    public void What_the_kernel_does_not_map_is_reached_by_messages()
    {
        using OpenedClient opened = new();
        using EventFd none = EventFd.Create();
        opened.Serve(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 0, 0, Bytes, 0ul), none.Descriptor);
            server.Send(RawPeer.Message(server.Receive().Id, 9, 1, 8ul, 0, 4, 7));
        });
        using Bar bar = new(opened.Client, opened.Client.GetRegion(RegionIndex.Bar0));
        Assert.False(bar.IsMapped(8));
        Assert.Equal(7u, bar.Read32(8));
    }
}
