using System.Buffers.Binary;
using System.Diagnostics;
using Vfio.Native;
using Vfio.Tests.Net;
using Vfio.User;
using Vfio.User.Captures;

namespace Vfio.Tests.User;

/// <summary>Messages captured by servers and clients, read as pcapng block by block.</summary>
public sealed class CaptureTests
{
    // Tags of LINKTYPE_WIRESHARK_UPPER_PDU, big-endian: 12 names the dissector, 35 is the direction (0 sent, 1 received), 0 ends them.
    private const int MessageAt = 36;

    [Fact]
    public void A_packet_names_the_dissector_and_has_direction_session_and_descriptors_before_the_message()
    {
        CaptureStream capture = new(new VfioUserCaptureOptions { Name = "unix:/run/x.sock" });
        CapturePoint server = capture.Capture.Begin(isServer: true);
        CapturePoint client = capture.Capture.Begin(isServer: false);
        byte[] message = RawPeer.Message(1, 13, 0);
        server.Received(message, 3);
        client.Twin().Sending(message, default, 2);
        server.ReceivedPart(message.AsSpan(0, 5), 0);

        List<PcapngReader.Block> blocks = PcapngReader.Read(capture.End());
        Assert.Equal([0x0a0d0d0a, 1, 6, 6, 6, 5], blocks.Select(block => block.Type));
        Assert.Contains("vfio-user.lua", blocks[0].Text(1));
        Assert.Equal((252u, 65536u + MessageAt), (blocks[1].Number(0), blocks[1].Number(4)));
        Assert.Equal("unix:/run/x.sock", blocks[1].Text(2));

        byte[] tags = [0, 12, 0, 8, .. "vfiouser"u8, 0, 35, 0, 4, 0, 0, 0];
        Assert.Equal([.. tags, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, .. message], blocks[2].Packet);
        Assert.Equal([.. tags, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0, 0, .. message], blocks[3].Packet);
        Assert.Equal([.. tags, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, .. message[..5]], blocks[4].Packet);
        Assert.Equal([1, 2, 1], blocks[2..5].Select(block => BinaryPrimitives.ReadUInt32LittleEndian(block.Options[2])));
        Assert.True(blocks[2].Time <= blocks[3].Time && blocks[3].Time <= blocks[4].Time);
        Assert.Equal(3ul, BinaryPrimitives.ReadUInt64LittleEndian(blocks[5].Options[4]));
        Assert.Equal(0ul, BinaryPrimitives.ReadUInt64LittleEndian(blocks[5].Options[5]));
    }

    [Fact]
    public void Client_and_server_capture_the_same_messages()
    {
        CaptureStream ofServer = new();
        CaptureStream ofClient = new();
        using (TestServer server = new(options: new VfioUserServerOptions { Capture = ofServer.Capture }))
        using (VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { Capture = ofClient.Capture }))
        {
            client.WriteRegion(RegionIndex.Bar0, 8, [1, 2, 3, 4]);
            Span<ulong> values = stackalloc ulong[3];
            client.ReadRegions([new(RegionIndex.Bar0, 8, 4), new(RegionIndex.Bar0, 0, 4), new(RegionIndex.Bar0, 8, 2)], values);
            Assert.Equal(0x0403_0201ul, values[0]);
            client.GetRegion(new RegionIndex(2));
            using SharedMemory memory = SharedMemory.Create("captured", 4096);
            client.MapDma(new DmaMapping(new Iova(0), 4096, DmaAccess.ReadWrite, new SharedDmaMemory(memory), 0));
            client.Reset();
        }

        byte[][] server1 = Messages(ofServer);
        byte[][] client1 = Messages(ofClient);
        Assert.True(server1.Length >= 18, $"{server1.Length} messages");

        // Several commands may be under way at once: each side sees its own order of the two directions.
        Assert.Equal(server1.Select(Convert.ToHexString).Order(), client1.Select(Convert.ToHexString).Order());
        byte[] map = server1.Single(message => message[2] == 2 && message[8] == 0);
        Assert.Equal(48, map.Length);
        Assert.Equal(1u, DescriptorsOf(ofServer, command: 2));
        Assert.Equal(1u, DescriptorsOf(ofClient, command: 2));
    }

    [Fact]
    public void A_message_is_cut_at_the_snap_length_and_its_length_is_kept()
    {
        CaptureStream capture = new(new VfioUserCaptureOptions { SnapLengthBytes = 40 });
        CapturePoint point = capture.Capture.Begin(isServer: true);
        byte[] body = [.. Enumerable.Range(0, 1000).Select(at => (byte)at)];
        byte[] message = RawPeer.Message(1, 10, 0, body);
        point.Sending([.. RawPeer.Message(0, 13, 0), .. message.AsSpan(0, 30)], message.AsSpan(30), 0);

        List<PcapngReader.Block> blocks = PcapngReader.Read(capture.End());
        Assert.Equal(RawPeer.Message(0, 13, 0), blocks[2].Packet[MessageAt..]);
        Assert.Equal(message[..40], blocks[3].Packet[MessageAt..]);
        Assert.Equal((uint)(MessageAt + message.Length), blocks[3].Number(16));
    }

    [Theory]
    [InlineData(9, 116)]
    [InlineData(10, 116)]
    [InlineData(11, 32)]
    [InlineData(12, 32)]
    [InlineData(17, 24)]
    [InlineData(18, 24)]
    public void Redacted_memory_and_migration_data_leave_address_and_length(ushort command, int kept)
    {
        CaptureStream capture = new(new VfioUserCaptureOptions { RedactsDma = true });
        CapturePoint point = capture.Capture.Begin(isServer: true);
        point.Received(RawPeer.Message(1, command, 0, new byte[100]), 0);
        point.Sending(RawPeer.Message(1, command, 1, new byte[100]), default, 0);
        List<PcapngReader.Block> blocks = PcapngReader.Read(capture.End());
        Assert.All(blocks[2..4], block => Assert.Equal((kept + MessageAt, 116u + MessageAt), (block.Packet.Length, block.Number(16))));
    }

    [Fact]
    public void Bytes_after_which_a_stream_breaks_or_ends_are_captured()
    {
        CaptureStream capture = new();
        using (TestServer server = new(options: new VfioUserServerOptions { Capture = capture.Capture }))
        {
            using (RawPeer broken = server.ConnectRaw())
            {
                broken.Send([1, 0, 9, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                Assert.True(broken.IsClosed());
            }

            server.WaitForSessions();
            using (RawPeer cut = server.ConnectRaw())
                cut.Send(RawPeer.Message(1, 9, 0, 0ul, 0u, 4u).AsSpan(0, 20));
            server.WaitForSessions();
        }

        byte[][] parts = [.. Packets(capture).Where(packet => packet[27] == 1).Select(packet => packet[MessageAt..])];
        Assert.Equal([16, 20], parts.Select(part => part.Length));
        Assert.Equal(5, parts[0][4]);
        Assert.Equal(32, parts[1][4]);
    }

    [Fact]
    public void Of_bytes_after_which_a_stream_breaks_only_the_header_is_kept_where_memory_is_redacted()
    {
        CaptureStream capture = new(new VfioUserCaptureOptions { RedactsDma = true });
        CapturePoint point = capture.Capture.Begin(isServer: true);
        byte[] secret = [.. Enumerable.Repeat((byte)0xa5, 64)];

        // A message of an unknown type, and behind it the reply to a DMA_READ.
        point.ReceivedPart([.. RawPeer.Message(1, 9, 2, 0ul, 0u, 4u), .. RawPeer.Message(2, 11, 1, 0ul, 64ul, secret)], 0);
        point.ReceivedPart([1, 2, 3], 0);
        byte[][] packets = Packets(capture);
        Assert.Equal(RawPeer.Message(1, 9, 2, 0ul, 0u, 4u)[..16], packets[0][MessageAt..]);
        Assert.Equal([1, 2, 3], packets[1][MessageAt..]);
    }

    [Fact]
    public void A_disk_that_is_full_ends_the_capture_and_not_the_session()
    {
        using VfioUserCapture capture = new(new LimitedStream(2000));
        using TestServer server = new(options: new VfioUserServerOptions { Capture = capture });
        using VfioUserClient client = server.ConnectClient();
        byte[] read = new byte[512];
        Assert.True(SpinWait.SpinUntil(Use, HangGuard.Timeout), "the capture does not end");
        Assert.Contains("no space", Assert.IsType<IOException>(capture.Failure).Message);
        Use();

        bool Use()
        {
            client.ReadRegion(RegionIndex.Bar0, 0, read);
            return capture.Ended.IsCompleted;
        }
    }

    [Fact]
    public async Task A_stream_that_takes_nothing_delays_no_session_and_what_is_missing_is_counted()
    {
        using ManualResetEventSlim go = new();
        StuckStream stream = new(go);
        VfioUserCapture capture = new(stream);
        using (TestServer server = new(options: new VfioUserServerOptions { Capture = capture }))
        using (VfioUserClient client = server.ConnectClient())
        {
            // The queue has 4 MiB; each read is a reply of 32 KiB.
            byte[] read = new byte[32 << 10];
            for (int count = 0; count < 200; count++)
                client.ReadRegion(new RegionIndex(2), 0, read);
        }

        Assert.InRange(capture.Dropped, 50, 150);
        long dropped = capture.Dropped;
        go.Set();
        capture.Dispose();
        await capture.Ended.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
        List<PcapngReader.Block> blocks = PcapngReader.Read(stream.Written.ToArray());
        Assert.Equal((ulong)dropped, BinaryPrimitives.ReadUInt64LittleEndian(blocks[^1].Options[5]));
        Assert.Equal((ulong)capture.Messages, BinaryPrimitives.ReadUInt64LittleEndian(blocks[^1].Options[4]));
        Assert.Equal(capture.Messages - dropped, blocks.Count(block => block.Type == 6));
    }

    [Fact]
    public void Many_threads_fill_the_queue_and_each_packet_comes_out_whole()
    {
        CaptureStream capture = new(new VfioUserCaptureOptions { SnapLengthBytes = 3000 });
        Parallel.For(0, 4, thread =>
        {
            CapturePoint point = capture.Capture.Begin(isServer: false);
            for (int count = 0; count < 2000; count++)
            {
                byte[] body = new byte[(count * 37) % 2900];
                Array.Fill(body, (byte)(count + thread));
                point.Received(RawPeer.Message((ushort)count, (ushort)(thread + 1), 0, body), 0);
            }
        });
        byte[][] packets = Packets(capture);
        Assert.Equal(8000 - capture.Capture.Dropped, packets.Length);
        Assert.All(packets, packet =>
        {
            int id = BinaryPrimitives.ReadUInt16LittleEndian(packet.AsSpan(MessageAt));
            int thread = BinaryPrimitives.ReadUInt16LittleEndian(packet.AsSpan(MessageAt + 2)) - 1;
            Assert.Equal(MessageAt + 16 + ((id * 37) % 2900), packet.Length);
            Assert.Equal(-1, packet.AsSpan(MessageAt + 16).IndexOfAnyExcept((byte)(id + thread)));
        });
    }

    [Fact]
    public void A_captures_file_is_for_its_owner_only_and_a_wrong_place_is_an_error_of_one_line()
    {
        string path = Path.Combine(Path.GetTempPath(), $"vfio-{Guid.NewGuid():n}.pcapng");
        VfioUserCapture.ToFile(path).Dispose();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(3, PcapngReader.Read(File.ReadAllBytes(path)).Count);
        File.Delete(path);
        VfioException refusal = Assert.Throws<VfioException>(() => VfioUserCapture.ToFile("/nowhere/at/all"));
        Assert.Equal(Errno.NoEntry, refusal.Errno);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public void A_file_that_is_there_is_emptied_and_becomes_its_owners_only()
    {
        using CaptureFolder folder = new();
        string path = folder.PathOf("there");
        File.WriteAllBytes(path, new byte[100_000]);
        File.SetUnixFileMode(path, (UnixFileMode)0b110_100_100);
        VfioUserCapture.ToFile(path).Dispose();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(3, PcapngReader.Read(File.ReadAllBytes(path)).Count);
    }

    [Fact]
    public void A_file_that_another_capture_writes_is_refused_and_not_touched()
    {
        using CaptureFolder folder = new();
        string path = folder.PathOf("busy");
        using (VfioUserCapture first = VfioUserCapture.ToFile(path))
        {
            CapturePoint point = first.Begin(isServer: true);
            point.Received(RawPeer.Message(1, 13, 0), 0);
            VfioException refusal = Assert.Throws<VfioException>(() => VfioUserCapture.ToFile(path));
            Assert.Equal(Errno.Busy, refusal.Errno);
            Assert.DoesNotContain('\n', refusal.Message);
            point.Received(RawPeer.Message(2, 13, 0), 0);
        }

        Assert.Equal([0x0a0d0d0a, 1, 6, 6, 5], PcapngReader.Read(File.ReadAllBytes(path)).Select(block => block.Type));
        VfioUserCapture.ToFile(path).Dispose();
    }

    [Fact]
    public void A_link_is_not_followed_and_what_is_no_file_is_not_waited_for()
    {
        using CaptureFolder folder = new();
        (string real, string link, string pipe) = (folder.PathOf("real"), folder.PathOf("link"), folder.PathOf("pipe"));
        File.WriteAllText(real, "kept");
        File.CreateSymbolicLink(link, real);
        Assert.Equal((Errno)40, Assert.Throws<VfioException>(() => VfioUserCapture.ToFile(link)).Errno);
        Assert.Equal("kept", File.ReadAllText(real));

        Process.Start("mkfifo", [pipe]).WaitForExit();
        Assert.Throws<VfioException>(() => VfioUserCapture.ToFile(pipe));
        using FileStream reader = new(pipe, FileMode.Open, FileAccess.ReadWrite);
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => VfioUserCapture.ToFile(pipe)).Errno);
    }

    [Fact]
    public void Root_empties_neither_another_users_file_nor_one_with_a_second_name()
    {
        Assert.SkipUnless(UserAccount.IsRoot, "only root may write another user's file");
        using CaptureFolder folder = new();
        (string theirs, string own) = (folder.PathOf("theirs"), folder.PathOf("own"));
        File.WriteAllText(theirs, "kept");
        UserAccount.Find("nobody").TakeOwnership(theirs);
        File.WriteAllText(own, "kept");
        Process.Start("ln", [own, folder.PathOf("second")]).WaitForExit();
        Assert.All([theirs, own], path =>
        {
            Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => VfioUserCapture.ToFile(path)).Errno);
            Assert.Equal("kept", File.ReadAllText(path));
        });
    }

    [Fact]
    public void A_long_name_is_cut()
    {
        CaptureStream capture = new(new VfioUserCaptureOptions { Name = new string('x', 100_000) });
        Assert.Equal(new string('x', 300), PcapngReader.Read(capture.End())[1].Text(2));
    }

    [Theory]
    [InlineData(15)]
    [InlineData(262109)]
    public void A_snap_length_out_of_range_is_refused(int bytes) => Assert.Throws<ArgumentOutOfRangeException>(
        () => new VfioUserCapture(Stream.Null, new VfioUserCaptureOptions { SnapLengthBytes = bytes }));

    private static byte[][] Packets(CaptureStream capture) =>
        [.. PcapngReader.Read(capture.End()).Where(block => block.Type == 6).Select(block => block.Packet)];

    private static byte[][] Messages(CaptureStream capture) => [.. Packets(capture).Select(packet => packet[MessageAt..])];

    private static uint DescriptorsOf(CaptureStream capture, int command) => Packets(capture)
        .Where(packet => packet[MessageAt + 2] == command && packet[MessageAt + 8] == 0)
        .Select(packet => BinaryPrimitives.ReadUInt32LittleEndian(packet.AsSpan(32))).Single();

    /// <summary>A folder of its own, removed at the end.</summary>
    private sealed class CaptureFolder : IDisposable
    {
        private readonly string _path = Directory.CreateTempSubdirectory("vfio-capture-").FullName;

        public void Dispose() => Directory.Delete(_path, recursive: true);

        internal string PathOf(string name) => Path.Combine(_path, name);
    }

    /// <summary>A disk of so many bytes.</summary>
    private sealed class LimitedStream(long bytes) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Length + count > bytes)
                throw new IOException("there is no space left");
            base.Write(buffer, offset, count);
        }
    }

    /// <summary>A pipe that nobody reads until it is let go.</summary>
    private sealed class StuckStream(ManualResetEventSlim go) : MemoryStream
    {
        internal MemoryStream Written { get; } = new();

        public override void Write(byte[] buffer, int offset, int count)
        {
            go.Wait();
            Written.Write(buffer, offset, count);
        }
    }
}
