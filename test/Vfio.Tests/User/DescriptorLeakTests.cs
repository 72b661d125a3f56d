using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Every descriptor that comes in is closed again, whatever became of the message it came with.</summary>
public sealed class DescriptorLeakTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(13)]
    [InlineData(14)]
    [InlineData(99)]
    public void Descriptors_with_a_command_that_is_refused_or_wants_none_are_closed(int command)
    {
        string name = $"leak-{command}";
        using TestServer server = new();
        using FileDescriptor file = MemoryFile.Create(name, 4096);
        using (RawPeer peer = server.ConnectRaw())
        {
            _ = peer.Ask((ushort)command, [0ul, 0ul, 0ul, 0ul], file, file, file);
            _ = peer.Ask((ushort)command, [], file);
            Assert.Equal(1, OpenDescriptors.OfMemoryFile(name));
        }
    }

    [Fact]
    public void A_mapped_file_costs_one_descriptor_and_one_mapping_until_the_client_leaves()
    {
        const string Name = "leak-mapped";
        using TestServer server = new();
        using FileDescriptor file = MemoryFile.Create(Name, 0x100000);
        using (RawPeer peer = server.ConnectRaw())
        {
            for (ulong i = 0; i < 200; i++)
                Assert.Empty(peer.Ask(2, [32, 3, i * 0x1000, i * 0x1000, 0x1000ul], file).Success);
            Assert.Equal((2, 1), (OpenDescriptors.OfMemoryFile(Name), OpenDescriptors.MappingsOf(Name)));
        }

        server.WaitForSessions();
        Assert.Equal((1, 0), (OpenDescriptors.OfMemoryFile(Name), OpenDescriptors.MappingsOf(Name)));
    }

    [Fact]
    public void A_file_whose_last_mapping_is_removed_is_released_when_another_is_used()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        using FileDescriptor one = MemoryFile.Create("leak-first", 0x1000);
        using FileDescriptor two = MemoryFile.Create("leak-second", 0x1000);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0ul, 0x1000ul], one).Success);
        Assert.Empty(peer.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul], two).Success);
        _ = peer.Ask(3, [24, 0, 0ul, 0x1000ul]).Success;
        Assert.Equal((1, 0), (OpenDescriptors.OfMemoryFile("leak-first"), OpenDescriptors.MappingsOf("leak-first")));
        Assert.Equal(2, OpenDescriptors.OfMemoryFile("leak-second"));
    }

    [Fact]
    public void Descriptors_of_half_a_message_are_closed_when_the_client_leaves()
    {
        const string Name = "leak-half";
        using TestServer server = new();
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        using (RawPeer peer = server.ConnectRaw())
            peer.Send(RawPeer.Message(1, 2, 0, 32, 3, 0ul, 0ul, 0x1000ul).AsSpan(0, 20), file, file);
        server.WaitForSessions();
        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }

    [Fact]
    public void Descriptors_of_a_broken_stream_are_closed()
    {
        const string Name = "leak-broken";
        using TestServer server = new();
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        using RawPeer peer = server.ConnectRaw();
        peer.Send(RawPeer.Bytes(0ul, 0ul, 0ul, 0ul), file, file);
        Assert.True(peer.IsClosed());
        server.WaitForSessions();
        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }

    [Fact]
    public void Descriptors_belong_to_the_last_message_that_starts_with_them()
    {
        const string Name = "leak-last";
        using TestServer server = new();
        using FileDescriptor file = MemoryFile.Create(Name, 0x1000);
        using RawPeer peer = server.ConnectRaw();
        byte[] read = RawPeer.Message(1, 9, 0, 0ul, 0, 4);
        byte[] map = RawPeer.Message(2, 2, 0, 32, 3, 0ul, 0ul, 0x1000ul);
        peer.Send([.. read, .. map], file);
        Assert.Equal(20, peer.Receive().Success.Length);
        Assert.Empty(peer.Receive().Success);
        Assert.NotNull(server.Device.Mappings[0].Memory.Shared);
        _ = peer.Ask(3, [24, 2, 0ul, 0ul]).Success;
        peer.Send([.. map, .. read], file);
        Assert.Empty(peer.Receive().Success);
        Assert.Equal(20, peer.Receive().Success.Length);
        Assert.Null(server.Device.Mappings[0].Memory.Shared);
    }

    [Fact]
    public void Regions_and_mappings_of_a_client_are_closed_with_it()
    {
        using TestServer server = new();
        using SharedMemory memory = SharedMemory.Create("leak-client", 0x1000);
        VfioUserClient client = server.ConnectClient();
        SharedDmaMemory shared = new(SharedMemory.Map(memory.File, 0, 0x1000, writable: true));
        client.MapDma(new DmaMapping(new Iova(0), 0x1000, DmaAccess.ReadWrite, shared, 0));
        FileDescriptor region = client.GetRegion(new RegionIndex(2)).File!;
        shared.Release();
        client.Dispose();
        Assert.True(region.IsClosed);
        server.WaitForSessions();
        Assert.Equal((1, 1), (OpenDescriptors.OfMemoryFile("leak-client"), OpenDescriptors.MappingsOf("leak-client")));
    }
}
