using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Servers that answer anything but what was asked: the client fails with a reason, closes what it got, and stays failed.</summary>
public sealed class HostileServerTests
{
    internal static readonly byte[] Good = RawPeer.Bytes((ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096}}\0");

    public static TheoryData<string, Func<ushort, byte[]>> BadVersions => new()
    {
        { "another major version", id => RawPeer.Message(id, 1, 1, (ushort)1, (ushort)0) },
        { "a higher minor version", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)2) },
        { "no version", id => RawPeer.Message(id, 1, 1) },
        { "no JSON", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{]\0") },
        { "max_msg_fds as text", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":\"8\"}}\0") },
        { "max_data_xfer_size as a list", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{\"max_data_xfer_size\":[]}}\0") },
        { "a negative limit", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{\"max_dma_maps\":-1}}\0") },
        { "capabilities as a number", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":7}\0") },
        { "no NUL", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{}}") },
        { "no data at all", id => RawPeer.Message(id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{\"max_data_xfer_size\":0}}\0") },
        { "another id", id => RawPeer.Message((ushort)(id + 1), 1, 1, (ushort)0, (ushort)1) },
        { "another command", id => RawPeer.Message(id, 2, 1, (ushort)0, (ushort)1) },
        { "a size of 3", id => RawPeer.Bytes(id, (ushort)1, 3, 1, 0) },
        { "a size of 4 GiB", id => RawPeer.Bytes(id, (ushort)1, uint.MaxValue, 1, 0) },
        { "an unknown type", id => RawPeer.Message(id, 1, 7, (ushort)0, (ushort)1) },
    };

    [Theory]
    [MemberData(nameof(BadVersions), DisableDiscoveryEnumeration = true)]
    public void A_VERSION_that_cannot_be_is_EPROTO(string what, Func<ushort, byte[]> answer)
    {
        VfioException refusal = Fail(server => server.Send(answer(server.Receive().Id)));
        Assert.True(refusal.Errno == Errno.Protocol, $"{what}: {refusal.Message}");
    }

    [Fact]
    public void A_refusal_of_VERSION_keeps_its_errno()
    {
        VfioException refusal = Fail(server =>
        {
            byte[] message = RawPeer.Message(server.Receive().Id, 1, 0x21);
            message[12] = 16;
            server.Send(message);
        });
        Assert.Equal(Errno.Busy, refusal.Errno);
    }

    [Fact]
    public void A_close_in_the_middle_of_a_reply_is_ECONNRESET()
    {
        VfioException refusal = Fail(server => server.Send(RawPeer.Message(server.Receive().Id, 1, 1, Good).AsSpan(0, 20)));
        Assert.Equal(Errno.ConnectionReset, refusal.Errno);
    }

    [Theory]
    [InlineData(257u, 5u)]
    [InlineData(9u, uint.MaxValue)]
    public void More_regions_or_interrupts_than_can_be_are_EPROTO(uint regions, uint interrupts)
    {
        VfioException refusal = Fail(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, Good));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, regions, interrupts));
        });
        Assert.Equal(Errno.Protocol, refusal.Errno);
    }

    [Fact]
    public void Silence_is_ETIMEDOUT_where_a_time_is_set()
    {
        VfioException refusal = Fail(server => _ = server.IsClosed(), TimeSpan.FromMilliseconds(50));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
    }

    [Fact]
    public void A_drip_of_bytes_is_no_answer_either()
    {
        VfioException refusal = Fail(
            server =>
            {
                byte[] reply = RawPeer.Message(server.Receive().Id, 1, 1, Good);
                foreach (byte one in reply)
                {
                    if (server.Socket.Send([one], default, default, wait: true, out _) < 0)
                        break;
                    Thread.Sleep(20);
                }
            },
            TimeSpan.FromMilliseconds(200));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
    }

    [Theory]
    [InlineData(3, 4u)]
    [InlineData(5, 4u)]
    [InlineData(4, 5u)]
    [InlineData(0, 0u)]
    public void A_read_with_other_data_than_asked_for_breaks_the_connection_for_good(int data, uint count)
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 9, 1, 0ul, 0, count, new byte[data])));
        byte[] four = new byte[4];
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => opened.Client.ReadRegion(RegionIndex.Bar0, 0, four)).Errno);
        VfioException later = Assert.Throws<VfioException>(opened.Client.Reset);
        Assert.Equal(Errno.Protocol, later.Errno);
        Assert.Contains("broke earlier", later.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Descriptors_that_were_not_requested_are_closed()
    {
        const string Name = "leak-unasked";
        using OpenedClient opened = new();
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        opened.Serve(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 13, 1), file, file, file);
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 3, 0, 0, 4096ul, 0ul), file);
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 1, 0, 4096ul, 0ul), file, file);
            server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 2, 0, 4096ul, 0ul));
        });
        opened.Client.Reset();
        Assert.Null(opened.Client.GetRegion(new RegionIndex(0)).File);
        Assert.True(opened.Client.GetRegion(new RegionIndex(1)).IsMappable);
        Assert.False(opened.Client.GetRegion(new RegionIndex(2)).IsMappable);
        Assert.Equal(2, OpenDescriptors.OfMemoryFile(Name));
        opened.Client.Dispose();
        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }

    public static TheoryData<string, object[]> BadRegions => new()
    {
        { "another index", [32, 3, 4, 0, 4096ul, 0ul] },
        { "too short", [32, 3, 0, 0, 4096ul] },
        { "a capability in the head", [80, 15, 0, 16, 65536ul, 0ul, new byte[48]] },
        { "a capability past the end", [80, 15, 0, 4096, 65536ul, 0ul, new byte[48]] },
        { "a capability at the very end", [80, 15, 0, 76, 65536ul, 0ul, new byte[48]] },
        { "a loop", [80, 15, 0, 32, 65536ul, 0ul, (ushort)9, (ushort)1, 32] },
        { "a loop of two", [80, 15, 0, 40, 65536ul, 0ul, (ushort)8, (ushort)1, 40, (ushort)9, (ushort)1, 32] },
        { "a link into the head", [80, 15, 0, 32, 65536ul, 0ul, (ushort)9, (ushort)1, 16] },
        { "a link past the end", [80, 15, 0, 32, 65536ul, 0ul, (ushort)9, (ushort)1, uint.MaxValue] },
        { "more areas than there are", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 3, 0, 0ul, 4096ul, 8192ul, 4096ul] },
        { "4 Gi areas", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, uint.MaxValue, 0, 0ul, 4096ul] },
        { "an area past the region", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 61440ul, 8192ul] },
        { "an area that wraps", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 4096ul, 0xfffffffffffff000ul] },
        { "no room for the number of areas", [44, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1] },
        { "an area past the region after one that is in it",
            [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 2, 0, 0ul, 4096ul, 65536ul, 4096ul] },
        { "a file offset that wraps", [32, 7, 0, 0, 65536ul, 0xfffffffffffff000ul] },
        { "a file offset that no file has", [32, 7, 0, 0, 65536ul, 1ul << 63] },
        { "a mappable size that no file has", [32, 7, 0, 0, ulong.MaxValue, 0ul] },
        { "a size that no offset reaches", [32, 3, 0, 0, 1ul << 63, 0ul] },
        { "half a page", [80, 15, 0, 32, 65536ul, 0ul, (ushort)1, (ushort)1, 0, 1, 0, 0ul, 2048ul] },
    };

    [Theory]
    [MemberData(nameof(BadRegions), DisableDiscoveryEnumeration = true)]
    public void A_region_that_contradicts_itself_is_EPROTO(string what, object[] reply)
    {
        string name = $"leak-region-{what}";
        using OpenedClient opened = new();
        using FileDescriptor file = MemoryFile.Create(name, 4096);
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, reply), file));
        VfioException refusal = Assert.Throws<VfioException>(() => opened.Client.GetRegion(new RegionIndex(0)));
        Assert.True(refusal.Errno == Errno.Protocol, $"{what}: {refusal.Message}");
        Assert.Equal(1, OpenDescriptors.OfMemoryFile(name));
    }

    [Fact]
    public void A_config_space_larger_than_PCI_has_is_EPROTO()
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 3, 7, 0, 1ul << 60, 0ul)));
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => opened.Client.GetRegion(RegionIndex.Config)).Errno);
    }

    [Theory]
    [InlineData(2u, 65537u)]
    [InlineData(2u, 0x7fffffffu)]
    [InlineData(2u, uint.MaxValue)]
    [InlineData(1u, 4u)]
    public void More_vectors_than_can_be_or_another_index_are_EPROTO(uint index, uint count)
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 7, 1, 16, 1, index, count)));
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => opened.Client.GetInterrupt(InterruptIndex.Msix)).Errno);
    }

    [Fact]
    public void An_interrupt_info_that_is_too_short_is_EPROTO()
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 7, 1, 16, 1, 2)));
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => opened.Client.GetInterrupt(InterruptIndex.Msix)).Errno);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(16u)]
    [InlineData(0xffffffffu)]
    public void An_argsz_of_the_reply_that_lies_about_a_region_is_not_followed_for_ever(uint argSize)
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, argSize, 3, 0, 0, 4096ul, 0ul)));
        Assert.Equal(4096ul, opened.Client.GetRegion(RegionIndex.Bar0).Length);
    }

    [Fact]
    public void A_server_that_always_needs_more_space_is_asked_a_bounded_number_of_times()
    {
        using OpenedClient opened = new();
        int asked = 0;
        opened.Serve(server =>
        {
            uint size;
            do
            {
                RawPeer.Reply request = server.Receive();
                asked++;
                size = request.U32(0) + 4096;
                server.Send(RawPeer.Message(request.Id, 5, 1, size, 3, 0, 0, 4096ul, 0ul));
            }
            while (size <= 65536);
        });
        Assert.Equal(4096ul, opened.Client.GetRegion(RegionIndex.Bar0).Length);
        Assert.InRange(asked, 2, 17);
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(8u)]
    [InlineData(255u)]
    public void A_server_that_needs_a_little_more_space_each_time_is_asked_a_bounded_number_of_times(uint step)
    {
        using OpenedClient opened = new();
        int asked = 0;
        opened.Serve(server =>
        {
            // A reset, which is asked after it, ends this.
            for (RawPeer.Reply request = server.Receive(); ; request = server.Receive())
            {
                if (request.Command == 13)
                {
                    server.Send(RawPeer.Message(request.Id, 13, 1));
                    return;
                }

                asked++;
                server.Send(RawPeer.Message(request.Id, 5, 1, request.U32(0) + step, 3, 0, 0, 4096ul, 0ul));
            }
        });
        Assert.Equal(4096ul, opened.Client.GetRegion(RegionIndex.Bar0).Length);
        opened.Client.Reset();
        Assert.InRange(asked, 2, 17);
    }

    [Theory]
    [InlineData(13, 1)]
    [InlineData(9, 0)]
    public void A_reply_without_a_request_breaks_the_connection(int command, int idOffset)
    {
        using OpenedClient opened = new();
        opened.Serve(server => server.Send(RawPeer.Message((ushort)(server.Receive().Id + idOffset), (ushort)command, 1)));
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(opened.Client.Reset).Errno);
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(opened.Client.Reset).Errno);
    }

    [Fact]
    public void More_descriptors_than_a_message_should_have_are_all_closed()
    {
        const string Name = "leak-flood";
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        using (OpenedClient opened = new())
        {
            FileDescriptor[] most = [.. Enumerable.Repeat(file, UnixSocket.MaxDescriptors)];
            opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 13, 1), most));
            try
            {
                opened.Client.Reset();
            }
            catch (VfioException refusal)
            {
                Assert.Equal(Errno.Protocol, refusal.Errno);
            }
        }

        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }

    [Fact]
    public void Descriptors_with_a_refusal_and_with_half_a_message_are_closed()
    {
        const string Name = "leak-half";
        using FileDescriptor file = MemoryFile.Create(Name, 4096);
        using (OpenedClient opened = new())
        {
            opened.Serve(server =>
            {
                byte[] refusal = RawPeer.Message(server.Receive().Id, 5, 0x21);
                refusal[12] = 22;
                server.Send(refusal, file);
                server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 0, 0, 4096ul, 0ul).AsSpan(0, 30), file, file);
                server.Socket.Shutdown();
            });
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => opened.Client.GetRegion(RegionIndex.Bar0)).Errno);
            Assert.Equal(Errno.ConnectionReset, Assert.Throws<VfioException>(() => opened.Client.GetRegion(RegionIndex.Bar0)).Errno);
        }

        Assert.Equal(1, OpenDescriptors.OfMemoryFile(Name));
    }

    [Fact]
    public void A_server_that_asks_without_end_and_never_answers_is_ETIMEDOUT()
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, Good));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
            byte[] ask = RawPeer.Message(1, 11, 0x10, 0x1000ul, 4ul);
            while (theirs.Send(ask, default, default, wait: true, out _) > 0)
            {
            }
        });
        thread.Start();
        using (VfioUserClient client = new(ours, "unix:test", Unanswered))
            Assert.Equal(Errno.TimedOut, Assert.Throws<VfioException>(client.Reset).Errno);
        Assert.True(thread.Join(HangGuard.Timeout));
    }

    [Fact]
    public void A_server_that_never_reads_is_ETIMEDOUT()
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{}}\0"));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
        });
        thread.Start();
        using VfioUserClient client = new(ours, "unix:test", Unanswered);
        Assert.True(thread.Join(HangGuard.Timeout));
        byte[] much = new byte[4 << 20];
        Assert.Equal(Errno.TimedOut, Assert.Throws<VfioException>(() => client.WriteRegion(RegionIndex.Bar0, 0, much)).Errno);
    }

    [Fact]
    public void A_server_that_takes_no_client_is_ETIMEDOUT_where_a_time_is_set()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("vfio-test-").FullName, "s");
        using UnixListener listener = UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        VfioUserClientOptions options = new() { Timeout = TimeSpan.FromMilliseconds(20) };
        List<UnixSocket> queue = [];
        VfioException? full = null;
        // The backlog is the listener's; a client beyond it would wait for ever.
        while (full is null && queue.Count < 10_000)
        {
            try
            {
                queue.Add(UnixSocket.Connect(path, options.Timeout));
            }
            catch (VfioException refusal)
            {
                full = refusal;
            }
        }

        Assert.Equal(Errno.TimedOut, full?.Errno);
        VfioException late = Assert.Throws<VfioException>(() => VfioUserClient.Connect(path, options));
        Assert.Equal(Errno.TimedOut, late.Errno);
        Assert.Contains("takes no client", late.Message, StringComparison.Ordinal);
        queue.ForEach(socket => socket.Dispose());
    }

    [Theory]
    [InlineData(0x1000ul, 0x4000ul, 0ul)]
    [InlineData(0x4000ul, 0x4000ul, 0x1000ul)]
    [InlineData(0x1000ul, 0x1000ul, 0x10000ul)]
    public void A_region_that_is_longer_than_its_file_is_reached_by_messages_and_never_mapped(ulong file, ulong region, ulong offset)
    {
        // A touch of such a mapping is a SIGBUS, which would end this process.
        using OpenedClient opened = new();
        using FileDescriptor sealedFile = MemoryFile.Create("short-region", file);
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 0, 0, region, offset), sealedFile));
        using Bar bar = new(opened.Client, opened.Client.GetRegion(RegionIndex.Bar0));
        Assert.False(bar.IsMapped((long)region - 4));
        opened.Serve(server =>
        {
            RawPeer.Reply request = server.Receive();
            server.Send(RawPeer.Message(request.Id, 9, 1, region - 4, 0, 4, 7));
        });
        Assert.Equal(7u, bar.Read32((long)region - 4));
    }

    [Fact]
    public void A_region_whose_file_is_truncated_later_fails_and_ends_nothing()
    {
        using OpenedClient opened = new();
        using FileDescriptor file = MemoryFile.CreateUnsealed("truncated-region", 0x4000);
        opened.Serve(server => server.Send(RawPeer.Message(server.Receive().Id, 5, 1, 32, 7, 0, 0, 0x4000ul, 0ul), file));
        using Bar bar = new(opened.Client, opened.Client.GetRegion(RegionIndex.Bar0));
        MemoryFile.Resize(file, 0);
        opened.Serve(server =>
        {
            byte[] refusal = RawPeer.Message(server.Receive().Id, 9, 0x21);
            refusal[12] = 5;
            server.Send(refusal);
        });
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => bar.Read32(0x2000)).Errno);
    }

    [Fact]
    public void A_server_may_read_only_what_is_mapped_and_readable()
    {
        using OpenedClient opened = new();
        SharedDmaMemory memory = new(SharedMemory.Create("guest", 0x2000));
        Assert.Equal(Errno.None, memory.Write(0, [1, 2, 3, 4]));
        List<string> answers = [];
        opened.Serve(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 2, 1));
            ushort id = server.Receive().Id;
            answers.Add(AskClient(server, 11, 0x1000ul, 4ul));
            answers.Add(AskClient(server, 11, 0xffful, 4ul));
            answers.Add(AskClient(server, 11, 0x2ffdul, 4ul));
            answers.Add(AskClient(server, 11, 0x1000ul, (1ul << 20) + 1));
            answers.Add(AskClient(server, 11, 0x1000ul, ulong.MaxValue));
            answers.Add(AskClient(server, 11, 0x1000ul));
            answers.Add(AskClient(server, 12, 0x1000ul, 4ul, 7));
            answers.Add(AskClient(server, 12, 0x1000ul, 8ul, 7));
            answers.Add(AskClient(server, 9, 0x1000ul, 4ul));
            answers.Add(AskClient(server, 11, ulong.MaxValue, 4ul));
            server.Send(RawPeer.Message(id, 13, 1));
        });
        opened.Client.MapDma(new DmaMapping(new Iova(0x1000), 0x2000, DmaAccess.Read, memory, 0));
        opened.Client.Reset();
        Assert.Equal(["0010000000000000040000000000000001020304", "14", "14", "22", "22", "22", "13", "22", "22", "14"], answers);
        memory.Release();
    }

    /// <summary>Long enough to open the client, however busy the machine is; it runs out in each of these tests.</summary>
    private static VfioUserClientOptions Unanswered => new() { Timeout = TimeSpan.FromSeconds(8) };

    /// <summary>Opens a client on a server that fails it.</summary>
    private static VfioException Fail(Action<RawPeer> serve, TimeSpan? timeout = null)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread thread = new(() =>
        {
            serve(server);
            theirs.Shutdown();
        });
        thread.Start();
        VfioUserClientOptions options = timeout is TimeSpan time ? new() { Timeout = time } : new();
        VfioException refusal = Assert.Throws<VfioException>(() => new VfioUserClient(ours, "unix:test", options));
        Assert.True(ours.Descriptor.IsClosed);
        Assert.True(thread.Join(HangGuard.Timeout));
        return refusal;
    }

    private static string AskClient(RawPeer server, ushort command, params object[] fields)
    {
        server.Send(RawPeer.Message(77, command, 0, fields));
        RawPeer.Reply reply = server.Receive();
        Assert.Equal((77, command), (reply.Id, reply.Command));
        return reply.Flags == 0x21 ? $"{reply.Refusal}" : Convert.ToHexString(reply.Success);
    }
}
