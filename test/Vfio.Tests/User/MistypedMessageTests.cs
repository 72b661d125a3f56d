using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Messages that are neither the reply awaited nor a command that a server may send: they break the connection, or are answered,
/// and no call waits for what will not come.</summary>
public sealed class MistypedMessageTests
{
    // Flags: type in bits 3:0 (0 command, 1 reply), no_reply 0x10, error 0x20.
    public static TheoryData<string, Func<ushort, byte[]>> InPlaceOfTheReply => new()
    {
        { "a command with the error bit", id => RawPeer.Message(id, 13, 0x20) },
        { "a command with the error bit that wants no reply", id => RawPeer.Message(id, 13, 0x30) },
        { "a command", id => RawPeer.Message(id, 13, 0) },
        { "a command that wants no reply", id => RawPeer.Message(id, 13, 0x10) },
        { "a command with another id", id => RawPeer.Message((ushort)(id + 1), 13, 0) },
        { "a command with an error and another id", id => RawPeer.Message((ushort)(id + 1), 13, 0x20) },
        { "another command with the error bit", id => RawPeer.Message(id, 9, 0x20) },
        { "a DMA_READ with the error bit", id => RawPeer.Message(id, 11, 0x20, 0ul, 4ul) },
        { "a command that there is not, with the error bit", id => RawPeer.Message(id, 999, 0x20) },
        { "a reply with another id", id => RawPeer.Message((ushort)(id - 1), 13, 1) },
        { "a refusal with another id", id => RawPeer.Message((ushort)(id + 1), 13, 0x21) },
        { "a reply to another command", id => RawPeer.Message(id, 9, 1) },
        { "a reply to a command that there is not", id => RawPeer.Message(id, 999, 1) },
        { "a type that there is not", id => RawPeer.Message(id, 13, 2) },
        { "a header with less than itself", id => RawPeer.Bytes(id, (ushort)13, 15, 1, 0) },
        { "a header with nothing", id => RawPeer.Bytes(id, (ushort)13, 0, 1, 0) },
        { "a header with more than a message", id => RawPeer.Bytes(id, (ushort)13, 0x7fff_ffff, 1, 0) },
    };

    [Theory]
    [MemberData(nameof(InPlaceOfTheReply), DisableDiscoveryEnumeration = true)]
    public void What_comes_in_place_of_a_reply_is_EPROTO(string what, Func<ushort, byte[]> answer)
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(answer(server.Receive().Id)));
        VfioException refusal = Assert.Throws<VfioException>(opened.Client.Reset);
        Assert.True(refusal.Errno == Errno.Protocol, $"{what}: {refusal.Message}");
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(opened.Client.Reset).Errno);
    }

    [Theory]
    [InlineData(0x20u)]
    [InlineData(0u)]
    [InlineData(0x30u)]
    public void A_VERSION_that_says_it_is_a_command_is_EPROTO(uint flags)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() => server.Send(RawPeer.Message(server.Receive().Id, 1, flags, HostileServerTests.Good)));
        thread.Start();
        VfioUserClientOptions options = new() { Timeout = Timeout.InfiniteTimeSpan };
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => new VfioUserClient(ours, "unix:test", options)).Errno);
        Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData(0u, Errno.InputOutput)]
    [InlineData(1u, Errno.OperationNotPermitted)]
    [InlineData(4095u, (Errno)4095)]
    [InlineData(4096u, Errno.InputOutput)]
    [InlineData(uint.MaxValue, Errno.InputOutput)]
    public void A_refusal_with_a_number_that_is_no_errno_is_EIO(uint number, Errno errno)
    {
        using OpenedClient opened = new();
        opened.Serve(server =>
        {
            byte[] refusal = RawPeer.Message(server.Receive().Id, 13, 0x21);
            BitConverter.TryWriteBytes(refusal.AsSpan(12), number);
            server.Send(refusal);
            server.Send(RawPeer.Message(server.Receive().Id, 13, 1));
        });
        Assert.Equal(errno, Assert.Throws<VfioException>(opened.Client.Reset).Errno);
        opened.Client.Reset();
    }

    [Theory]
    [InlineData(0x1u)]
    [InlineData(0x21u)]
    [InlineData(0x2u)]
    [InlineData(0x20u)]
    public void On_the_twin_socket_it_breaks_both(uint flags)
    {
        using TwinServer server = new(peers =>
        {
            peers.Main.Send(RawPeer.Message(peers.Main.Receive().Id, 2, 1));
            peers.Twin.Send(RawPeer.Message(7, 11, flags, 0ul, 4ul));
            Assert.True(peers.Main.IsClosed());
        });
        SharedDmaMemory memory = new(SharedMemory.Create("guest", 0x1000));
        server.Client.MapDma(new DmaMapping(new Iova(0x1000), 0x1000, DmaAccess.ReadWrite, memory, 0));
        VfioException refusal = Assert.Throws<VfioException>(server.Client.Reset);
        Assert.Equal(Errno.Protocol, refusal.Errno);
        Assert.Contains("twin socket", refusal.Message, StringComparison.Ordinal);
        memory.Release();
    }

    [Theory]
    [InlineData("4000000000")]
    [InlineData("4294967295")]
    [InlineData("2")]
    [InlineData("null")]
    [InlineData("0")]
    public void A_twin_socket_by_a_number_that_it_does_not_have_is_EPROTO(string index)
    {
        // Descriptor 0 is no socket, and descriptor 1 would be right.
        string offered = $"{{\"capabilities\":{{\"twin_socket\":{{\"supported\":true,\"fd_index\":{index}}}}}}}\0";
        const string Name = "leak-twin";
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        (UnixSocket ourTwin, UnixSocket theirTwin) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        using (ourTwin)
        using (theirTwin)
        {
            Thread thread = new(() => server.Send(
                RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, offered), file, ourTwin.Descriptor));
            thread.Start();
            Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => new VfioUserClient(ours, "unix:test")).Errno);
            Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
        }

        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }
}
