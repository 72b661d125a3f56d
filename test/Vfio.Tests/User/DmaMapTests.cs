using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>DMA_MAP (2) and DMA_UNMAP (3) at the socket.</summary>
public sealed class DmaMapTests
{
    [Fact]
    public void A_mapping_with_a_descriptor_reaches_the_files_bytes()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using SharedMemory memory = SharedMemory.Create("guest", 0x10000);
        memory.Write32(0x3000, 0x11223344);
        Assert.Empty(peer.Ask(2, [32, 3, 0x2000ul, 0x80000ul, 0x4000ul], memory.File).Success);
        Assert.Equal(Errno.None, server.Device.Transfer(0x81000, 4, write: false));
        Assert.Equal(0x11223344u, BitConverter.ToUInt32(server.Device.DmaBuffer));
        server.Device.DmaBuffer[0] = 0x99;
        Assert.Equal(Errno.None, server.Device.Transfer(0x82000, 4, write: true));
        Assert.Equal(0x11223399u, memory.Read32(0x4000));
        byte[] unmap = RawPeer.Bytes(24, 0, 0x80000ul, 0x4000ul);
        Assert.Equal(unmap, peer.Ask(3, [unmap]).Success);
        Assert.Empty(server.Device.Mappings);
    }

    [Fact]
    public void Mappings_of_one_file_share_one_piece_of_memory()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using SharedMemory memory = SharedMemory.Create("guest", 0x10000);
        for (ulong i = 0; i < 8; i++)
            Assert.Empty(peer.Ask(2, [32, i == 0 ? 1 : 3, i * 0x1000, i * 0x1000, 0x1000ul], memory.File).Success);
        Assert.Equal(2, server.Device.Mappings.Select(m => m.Memory).Distinct().Count());
        Assert.Single(server.Device.Mappings.Skip(1).Select(m => m.Memory).Distinct());
    }

    [Fact]
    public void A_file_that_grew_is_shared_again()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using FileDescriptor file = MemoryFile.CreateUnsealed("guest", 0x1000);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x0ul, 0x1000ul], file).Success);
        Assert.Equal(22u, peer.Ask(2, [32, 3, 0x1000ul, 0x1000ul, 0x1000ul], file).Refusal);
        MemoryFile.Resize(file, 0x2000);
        Assert.Empty(peer.Ask(2, [32, 3, 0x1000ul, 0x1000ul, 0x1000ul], file).Success);
        Assert.Equal(Errno.None, server.Device.Transfer(0x1000, 16, write: false));
    }

    [Fact]
    public void A_file_that_is_truncated_fails_the_access_and_not_the_process()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using FileDescriptor file = MemoryFile.CreateUnsealed("guest", 0x2000);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x0ul, 0x2000ul], file).Success);
        MemoryFile.Resize(file, 0);
        Assert.Equal(Errno.BadAddress, server.Device.Transfer(0x1000, 16, write: false));
        Assert.Equal(Errno.BadAddress, server.Device.Transfer(0x1000, 16, write: true));
        Assert.Equal(16, peer.Ask(4, [16, 0, 0, 0]).Success.Length);
    }

    [Fact]
    public void The_same_range_twice_replies_EEXIST()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using SharedMemory memory = SharedMemory.Create("guest", 0x10000);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x80000ul, 0x4000ul], memory.File).Success);
        Assert.Equal(17u, peer.Ask(2, [32, 3, 0ul, 0x80000ul, 0x4000ul], memory.File).Refusal);
        Assert.Equal(17u, peer.Ask(2, [32, 3, 0ul, 0x83000ul, 0x4000ul], memory.File).Refusal);
        Assert.Equal(17u, peer.Ask(2, [32, 3, 0ul, 0x83000ul, 0x4000ul]).Refusal);
    }

    private static readonly object[][] Bad =
    [
        // argsz, flags, offset, address, size
        [31, 3, 0ul, 0ul, 0x1000ul],
        [32, 0, 0ul, 0ul, 0x1000ul],
        [32, 4, 0ul, 0ul, 0x1000ul],
        [32, 0x80000003, 0ul, 0ul, 0x1000ul],
        [32, 3, 0ul, 0ul, 0ul],
        [32, 3, 0ul, 0ul, 0xffful],
        [32, 3, 0ul, 0x10ul, 0x1000ul],
        [32, 3, 0x10ul, 0ul, 0x1000ul],
        [32, 3, 0ul, 0xfffffffffffff000ul, 0x2000ul],
        [32, 3, 0ul, 0x1000ul, 0xfffffffffffff000ul],
        [32, 3, 0x10000ul, 0ul, 0x1000ul],
        [32, 3, 0ul, 0ul, 0x11000ul],
        [32, 3, 0xfffffffffffff000ul, 0ul, 0x2000ul],
        [32, 3, 0ul, 0ul],
    ];

    [Fact]
    public void What_wraps_is_not_whole_pages_or_leaves_the_file_replies_EINVAL() => Assert.All(
        Bad,
        fields =>
        {
            using TestServer server = new();
            using RawPeer peer = server.ConnectRaw();
            using SharedMemory memory = SharedMemory.Create("guest", 0x10000);
            Assert.Equal(22u, peer.Ask(2, fields, memory.File).Refusal);
            Assert.Empty(server.Device.Mappings);
        });

    [Fact]
    public void The_last_page_of_all_can_be_mapped()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0xfffffffffffff000ul, 0x1000ul]).Success);
        Assert.Equal(24, peer.Ask(3, [24, 0, 0xfffffffffffff000ul, 0x1000ul]).Success.Length);
    }

    [Fact]
    public void Two_descriptors_or_one_that_is_no_memory_reply_EINVAL()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using SharedMemory memory = SharedMemory.Create("guest", 0x10000);
        using EventFd wrong = EventFd.Create();
        Assert.Equal(22u, peer.Ask(2, [32, 3, 0ul, 0ul, 0x1000ul], memory.File, memory.File).Refusal);
        Assert.Equal(22u, peer.Ask(2, [32, 3, 0ul, 0ul, 0x1000ul], wrong.Descriptor).Refusal);
        Assert.Equal(22u, peer.Ask(2, [32, 3, 0ul, 0ul, 0x1000ul], peer.Socket.Descriptor).Refusal);
    }

    [Fact]
    public void More_mappings_than_agreed_reply_ENOSPC()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MaxDmaMaps = 2 });
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul]).Success);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x2000ul, 0x1000ul]).Success);
        Assert.Equal(28u, peer.Ask(2, [32, 3, 0ul, 0x3000ul, 0x1000ul]).Refusal);
        Assert.Equal(24, peer.Ask(3, [24, 0, 0x1000ul, 0x1000ul]).Success.Length);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x3000ul, 0x1000ul]).Success);
    }

    [Fact]
    public void More_files_than_the_server_bears_reply_EMFILE()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MaxSharedFiles = 2 });
        using RawPeer peer = server.ConnectRaw();
        using SharedMemory one = SharedMemory.Create("one", 0x1000);
        using SharedMemory two = SharedMemory.Create("two", 0x1000);
        using SharedMemory three = SharedMemory.Create("three", 0x1000);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul], one.File).Success);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x2000ul, 0x1000ul], two.File).Success);
        Assert.Equal(24u, peer.Ask(2, [32, 3, 0ul, 0x3000ul, 0x1000ul], three.File).Refusal);
        Assert.Equal(24, peer.Ask(3, [24, 0, 0x1000ul, 0x1000ul]).Success.Length);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x3000ul, 0x1000ul], three.File).Success);
    }

    [Theory]
    [InlineData(24u, 0u, 0x80000ul, 0x1000ul, 22u)]
    [InlineData(24u, 0u, 0x81000ul, 0x1000ul, 2u)]
    [InlineData(24u, 0u, 0x83000ul, 0x1000ul, 2u)]
    [InlineData(24u, 0u, 0x7f000ul, 0x6000ul, 2u)] // around it
    [InlineData(24u, 0u, 0x7f000ul, 0x2000ul, 2u)]
    [InlineData(24u, 0u, 0ul, 0x8000000000ul, 2u)]
    [InlineData(24u, 0u, 0x1000ul, 0ul, 2u)]
    [InlineData(24u, 0u, 0x1000ul, 0x800ul, 2u)]
    [InlineData(24u, 0u, 0x1800ul, 0x1000ul, 2u)]
    [InlineData(24u, 0u, 0xfffffffffffff000ul, 0x2000ul, 2u)]
    [InlineData(24u, 0u, 0x80000ul, 0xfffffffffffffffful, 22u)]
    [InlineData(23u, 0u, 0x80000ul, 0x4000ul, 22u)]
    [InlineData(24u, 1u, 0x80000ul, 0x4000ul, 95u)] // the device keeps no record
    [InlineData(24u, 2u, 0x80000ul, 0x4000ul, 22u)]
    [InlineData(24u, 3u, 0x80000ul, 0x4000ul, 22u)]
    [InlineData(24u, 4u, 0x80000ul, 0x4000ul, 22u)]
    public void An_unmap_that_is_not_exactly_a_mapping_is_refused(uint argsz, uint flags, ulong address, ulong size, uint errno)
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x80000ul, 0x4000ul]).Success);
        Assert.Equal(errno, peer.Ask(3, [argsz, flags, address, size]).Refusal);
        Assert.Single(server.Device.Mappings);
    }

    [Theory]
    [InlineData(0x1000ul, 0x1000ul)]
    [InlineData(0x7f000ul, 0x1000ul)]
    [InlineData(0x84000ul, 0x1000ul)]
    [InlineData(0x8000000000ul, 0x8000000000ul)]
    [InlineData(0xfffffffffffff000ul, 0x1000ul)]
    public void An_unmap_of_what_was_never_mapped_is_done_already(ulong address, ulong size)
    {
        // QEMU with intel-iommu unmaps whole address spaces, and prints a line for each refusal.
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(RawPeer.Bytes(24, 0, address, size), peer.Ask(3, [24, 0, address, size]).Success);
            Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x80000ul, 0x4000ul]).Success);
            Assert.Equal(RawPeer.Bytes(24, 0, address, size), peer.Ask(3, [24, 0, address, size]).Success);
            Assert.Single(server.Device.Mappings);
            Assert.Equal(24, peer.Ask(3, [24, 0, 0x80000ul, 0x4000ul]).Success.Length);
        }
    }

    [Fact]
    public void An_unmap_across_two_mappings_takes_neither()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul]).Success);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x2000ul, 0x1000ul]).Success);
        Assert.Equal(22u, peer.Ask(3, [24, 0, 0x1000ul, 0x2000ul]).Refusal);
        Assert.Equal(2u, peer.Ask(3, [24, 0, 0ul, 0x4000ul]).Refusal);
        Assert.Equal(2, server.Device.Mappings.Count);
    }

    [Fact]
    public void Unmap_all_takes_every_mapping()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using SharedMemory memory = SharedMemory.Create("guest", 0x10000);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul], memory.File).Success);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x2000ul, 0x1000ul]).Success);
        Assert.Equal(RawPeer.Bytes(24, 2, 0ul, 0ul), peer.Ask(3, [24, 2, 0ul, 0ul]).Success);
        Assert.Empty(server.Device.Mappings);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul]).Success);
    }
}
