using Vfio.Devices.Nvme;
using Vfio.Drivers.Nvme;
using Vfio.User;
using Vfio.User.Captures;

namespace Vfio.Tests.User;

/// <summary>Captured messages, read by tshark with the dissector in <c>packaging/wireshark</c>. Offsets are those of QEMU's
/// <c>docs/interop/vfio-user.rst</c>, with the header's 16 bytes.</summary>
public sealed class WiresharkTests
{
    private const ushort Version = 1, DmaMap = 2, DmaUnmap = 3, GetInfo = 4, GetRegionInfo = 5, GetRegionIoFds = 6, GetIrqInfo = 7,
        SetIrqs = 8, RegionRead = 9, RegionWrite = 10, DmaRead = 11, DmaWrite = 12, Reset = 13, WriteMulti = 15, Feature = 16,
        MigDataRead = 17, MigDataWrite = 18;

    // Field, offset, bytes.
    private static readonly (string Name, int At, int Bytes)[] Header =
        [("id", 0, 2), ("command", 2, 2), ("size", 4, 4), ("flags", 8, 4), ("errno", 12, 4)];

    private static readonly (string Name, int At, int Bytes)[] RegionAccess = [("offset", 16, 8), ("region", 24, 4), ("count", 28, 4)];
    private static readonly (string Name, int At, int Bytes)[] MemoryAccess = [("address", 16, 8), ("count", 24, 8)];
    private static readonly (string Name, int At, int Bytes)[] RegionInfo =
        [("argsz", 16, 4), ("region.flags", 20, 4), ("region", 24, 4), ("region.cap_offset", 28, 4), ("region.size", 32, 8), ("region.offset", 40, 8)];

    private static readonly (string Name, int At, int Bytes)[] IrqInfo = [("argsz", 16, 4), ("irq.flags", 20, 4), ("irq.index", 24, 4), ("irq.count", 28, 4)];
    private static readonly (string Name, int At, int Bytes)[] DeviceInfo =
        [("argsz", 16, 4), ("device.flags", 20, 4), ("device.regions", 24, 4), ("device.irqs", 28, 4)];

    private static readonly (string Name, int At, int Bytes)[] Unmap = [("argsz", 16, 4), ("dma_unmap.flags", 20, 4), ("address", 24, 8), ("length", 32, 8)];

    private static readonly Dictionary<(ushort Command, bool IsReply), (string Name, int At, int Bytes)[]> Bodies = new()
    {
        [(Version, false)] = [("version.major", 16, 2), ("version.minor", 18, 2)],
        [(Version, true)] = [("version.major", 16, 2), ("version.minor", 18, 2)],
        [(DmaMap, false)] = [("argsz", 16, 4), ("dma_map.flags", 20, 4), ("offset", 24, 8), ("address", 32, 8), ("length", 40, 8)],
        [(DmaMap, true)] = [],
        [(DmaUnmap, false)] = Unmap,
        [(DmaUnmap, true)] = Unmap,
        [(GetInfo, false)] = DeviceInfo,
        [(GetInfo, true)] = DeviceInfo,
        [(GetRegionInfo, false)] = RegionInfo,
        [(GetRegionInfo, true)] = RegionInfo,
        [(GetIrqInfo, false)] = IrqInfo,
        [(GetIrqInfo, true)] = IrqInfo,
        [(SetIrqs, false)] = [("argsz", 16, 4), ("irq.flags", 20, 4), ("irq.index", 24, 4), ("irq.start", 28, 4), ("irq.count", 32, 4)],
        [(SetIrqs, true)] = [],
        [(RegionRead, false)] = RegionAccess,
        [(RegionRead, true)] = RegionAccess,
        [(RegionWrite, false)] = RegionAccess,
        [(RegionWrite, true)] = RegionAccess,
        [(DmaRead, false)] = MemoryAccess,
        [(DmaRead, true)] = MemoryAccess,
        [(DmaWrite, false)] = MemoryAccess,
        [(DmaWrite, true)] = MemoryAccess,
        [(Reset, false)] = [],
        [(Reset, true)] = [],
    };

    private static readonly (string Reason, byte[] Message)[] Malformed =
    [
        ("the message ends within the region: 3 bytes are left of 4", RawPeer.Message(1, RegionRead, 0, 0ul, new byte[3])),
        ("the message ends within the offset: 0 bytes are left of 8", RawPeer.Message(1, RegionRead, 0)),
        ("4 bytes more than this message has", RawPeer.Message(1, RegionRead, 0, 0ul, 0u, 4u, 0u)),
        ("2 bytes of data are left of 4", RawPeer.Message(1, RegionWrite, 0, 0ul, 0u, 4u, (ushort)0)),
        ("0 bytes of data are left of 4294967295", RawPeer.Message(1, RegionWrite, 0, 0ul, 0u, uint.MaxValue)),
        ("0 bytes of data are left of 18446744073709551616", RawPeer.Message(1, DmaWrite, 0, 0ul, ulong.MaxValue)),
        ("1 bytes more than this message has", RawPeer.Message(1, Reset, 0, new byte[1])),
        ("the message ends within the size: 4 bytes are left of 8", RawPeer.Message(1, DmaMap, 0, 32u, 3u, 0ul, 0ul, 0u)),
        ("an unknown command", RawPeer.Message(1, 99, 0, 1u)),
        ("an unknown type of message", RawPeer.Message(1, Reset, 2)),
        ("a size of 17, and 16 bytes", [.. RawPeer.Message(1, Reset, 0, new byte[1])[..16]]),
        ("a size below that of the header", [1, 0, 13, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("no header of a message", [1, 2, 3]),
        ("a refusal is only a header", RawPeer.Message(1, RegionRead, 0x21, 0ul)),
        ("no NUL ends the capabilities", RawPeer.Message(1, Version, 0, (ushort)0, (ushort)1, "{}")),
        ("the message ends within the minor version: 0 bytes are left of 2", RawPeer.Message(1, Version, 0, (ushort)0)),
        ("not one of the data flags", RawPeer.Message(1, SetIrqs, 0, 20u, 0x20u, 0u, 0u, 1u)),
        ("not one of the action flags", RawPeer.Message(1, SetIrqs, 0, 20u, 0x39u, 0u, 0u, 1u)),
        ("0 bytes of data are left of 4", RawPeer.Message(1, SetIrqs, 0, 20u, 0x22u, 0u, 0u, 4u)),
        ("the capabilities go in a circle", RawPeer.Message(1, GetRegionInfo, 1, 40u, 8u, 0u, 32u, 0ul, 0ul, (ushort)2, (ushort)1, 32u, 0u, 0u)),
        ("a capability at 4096, outside of the message", RawPeer.Message(1, GetRegionInfo, 1, 40u, 8u, 0u, 4096u, 0ul, 0ul, 0ul)),
        ("a capability at 4, outside of the message", RawPeer.Message(1, GetRegionInfo, 1, 40u, 8u, 0u, 4u, 0ul, 0ul, 0ul)),
        ("the message ends within the areas: 0 bytes are left of 16", RawPeer.Message(1, GetRegionInfo, 1, 48u, 8u, 0u, 32u, 0ul, 0ul, (ushort)1, (ushort)1, 0u, uint.MaxValue, 0u)),
        ("8 bytes for 4294967295 sub-regions", RawPeer.Message(1, GetRegionIoFds, 1, 24u, 0u, 0u, uint.MaxValue, 0ul)),
        ("24 bytes for 18446744073709551615 writes of 24", RawPeer.Message(1, WriteMulti, 0, ulong.MaxValue, 0ul, 0u, 4u, 0ul)),
        ("a write of 9 bytes, at most 8 have a place", RawPeer.Message(1, WriteMulti, 0, 1ul, 0ul, 0u, 9u, 0ul)),
        ("neither get, set nor probe", RawPeer.Message(1, Feature, 0, 8u, 1u)),
        ("get and set together, without probe", RawPeer.Message(1, Feature, 0, 8u, 0x3_0007u)),
        ("the message ends within the ranges: 8 bytes are left of 16", RawPeer.Message(1, Feature, 0, 24u, 0x2_0006u, 4096ul, uint.MaxValue, 0u, 0ul)),
        ("1 bytes of data are left of 1000", RawPeer.Message(1, MigDataWrite, 0, 8u, 1000u, new byte[1])),
    ];

    [Fact]
    public void An_NVMe_drivers_session_is_shown_field_by_field_as_it_was_on_the_wire()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        CaptureStream capture = new();
        IReadOnlyList<WireTap.Message> messages;
        byte[] written = [.. Enumerable.Range(0, 4096).Select(at => (byte)(at * 7))];
        using (GuardedServer server = new(NvmeFunction.InMemory(1 << 20), new VfioUserServerOptions { Capture = capture.Capture }))
        {
            using WireTap tap = new(server.Connect());
            using (NvmeController controller = new(new VfioUserClient(tap.Client, "unix:tap", new VfioUserClientOptions { TwinSocket = false })))
            {
                using NvmeBlockDevice disk = controller.FindNamespace(1).Open(new NvmeBlockDeviceOptions { Interrupts = true });
                byte[] read = new byte[written.Length];
                disk.Write(8192, written);
                disk.Read(8192, read);
                Assert.Equal(written, read);
            }

            messages = tap.Messages;
        }

        List<Tshark.Packet> packets = Tshark.Read(capture.End());
        Assert.Equal(messages.Count, packets.Count);
        Assert.Equal(0, capture.Capture.Dropped);
        Assert.True(messages.Select(message => message.Command).Distinct().Count() >= 8, "a driver's session has many commands");

        // Which frame the command with an id is in; a client's ids and a server's are apart.
        Dictionary<(bool FromServer, ulong Id), int> asked = [];
        foreach ((int index, (WireTap.Message message, Tshark.Packet packet)) in messages.Zip(packets).Index())
        {
            foreach ((string name, int at, int bytes) in Header.Concat(Bodies[(message.Command, message.IsReply)]))
            {
                if (message.Bytes.Length >= at + bytes)
                    Assert.True(message.Field(at, bytes) == packet.Number($"vfiouser.{name}"), $"{name} of message {index + 1}: {packet[$"vfiouser.{name}"]}");
                else
                    Assert.False(packet.Has($"vfiouser.{name}"));
            }

            Assert.Equal(message.FromServer ? 1ul : 0, packet.Number("vfiouser.direction"));
            Assert.Equal((ulong)message.Descriptors, packet.Number("vfiouser.descriptors"));
            Assert.Equal((1ul, 0ul), (packet.Number("vfiouser.session"), packet.Number("vfiouser.socket")));
            Assert.Equal(message.IsReply ? 1ul : 0, packet.Number("vfiouser.flags.type"));
            Assert.DoesNotContain(packet.Experts, text => !text.StartsWith("vfiouser.refused", StringComparison.Ordinal));
            ulong id = message.Field(0, 2);
            if (!message.IsReply)
            {
                asked[(message.FromServer, id)] = index + 1;
            }
            else
            {
                Assert.Equal((ulong)asked[(!message.FromServer, id)], packet.Number("vfiouser.response_to"));
                Assert.InRange(double.Parse(packet["vfiouser.time"], System.Globalization.CultureInfo.InvariantCulture), 0, HangGuard.Timeout.TotalSeconds);
            }
        }

        Assert.Contains(packets, packet => packet.Has("vfiouser.value") && packet.Number("vfiouser.command") == RegionWrite);
    }

    [Fact]
    public void Commands_of_both_sides_are_shown_with_memory_that_is_asked_for_by_message_and_a_twin_socket()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        CaptureStream capture = new();
        using (TestServer server = new(options: new VfioUserServerOptions { Capture = capture.Capture }))
        {
            foreach (bool twin in (bool[])[false, true])
            {
                using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { TwinSocket = twin });
                PrivateMemory memory = new(0x2000);
                memory.Write(0x10, [0x11, 0x22, 0x33, 0x44]);
                client.MapDma(new DmaMapping(new Iova(0x8000_0000), 0x2000, DmaAccess.ReadWrite, memory, 0));
                Copy(client, 0x8000_0010, 4, direction: 0);
                Copy(client, 0x8000_1000, 4, direction: 1);
                client.UnmapDma(new Iova(0x8000_0000), 0x2000);
            }
        }

        List<Tshark.Packet> packets = Tshark.Read(capture.End());
        foreach (ulong session in (ulong[])[1, 2])
        {
            Tshark.Packet[] own = [.. packets.Where(packet => packet.Number("vfiouser.session") == session)];
            Tshark.Packet[] reads = [.. own.Where(packet => packet.Number("vfiouser.command") == DmaRead)];
            Assert.Equal([1ul, 0ul], reads.Select(packet => packet.Number("vfiouser.direction")));
            Assert.All(reads, packet => Assert.Equal((0x8000_0010ul, 4ul), (packet.Number("vfiouser.address"), packet.Number("vfiouser.count"))));
            Assert.All(reads, packet => Assert.Equal(session - 1, packet.Number("vfiouser.socket")));
            Assert.Equal(0x4433_2211ul, reads[1].Number("vfiouser.value"));
            Tshark.Packet[] writes = [.. own.Where(packet => packet.Number("vfiouser.command") == DmaWrite)];
            Assert.Equal(0x4433_2211ul, writes[0].Number("vfiouser.value"));
            Assert.False(writes[1].Has("vfiouser.value"));
            Assert.True(writes[1].Has("vfiouser.response_to"));
            Assert.All(own, packet => Assert.Empty(packet.Experts));
        }

        static void Copy(VfioUserClient client, ulong address, ulong length, uint direction)
        {
            client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaAddress, BitConverter.GetBytes(address));
            client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaLength, BitConverter.GetBytes(length));
            client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaDirection, BitConverter.GetBytes(direction));
            client.WriteRegion(RegionIndex.Bar0, FakeDevice.DmaGo, new byte[4]);
        }
    }

    [Fact]
    public void Every_other_command_is_shown_with_its_fields()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        const string Capabilities =
            "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536,\"pgsizes\":4096,\"migration\":{\"pgsize\":8192},\"write_multiple\":true,\"twin_socket\":{\"supported\":true,\"fd_index\":1}}}\0";
        ulong bitmap = 0x8000_0000_0000_0001;
        List<Tshark.Packet> packets = Show(
            RawPeer.Message(1, Version, 1, (ushort)0, (ushort)1, Capabilities),
            RawPeer.Message(2, DmaUnmap, 1, 48u, 1u, 0x1000ul, 0x40_0000ul, 0x1000ul, 8ul, bitmap),
            RawPeer.Message(3, GetRegionInfo, 1, 72u, 0xfu, 2u, 32u, 0x4000ul, 0x1000ul, (ushort)1, (ushort)1, 0u, 1u, 0u, 0x2000ul, 0x1000ul),
            RawPeer.Message(4, GetRegionIoFds, 1, 56u, 0u, 0u, 1u, 0x1008ul, 4ul, 0u, 0u, 1u, 0u, 7ul),
            RawPeer.Message(5, SetIrqs, 0, 22u, 0x22u, 1u, 3u, 2u, new byte[] { 1, 0 }),
            RawPeer.Message(6, WriteMulti, 0x10, 2ul, 0x10ul, 0u, 4u, 0x1234ul, 0x20ul, 1u, 1u, 0x56ul),
            RawPeer.Message(7, Feature, 1, 16u, 0x1_0001u, 5ul),
            RawPeer.Message(8, Feature, 0, 16u, 0x2_0002u, 3u, uint.MaxValue),
            RawPeer.Message(9, Feature, 0, 40u, 0x2_0006u, 4096ul, 1u, 0u, 0x10_0000ul, 0x8000ul),
            RawPeer.Message(10, Feature, 1, 40u, 0x1_0008u, 0x10_0000ul, 0x8000ul, 4096ul, bitmap),
            RawPeer.Message(11, Feature, 0, 8u, 0x7_0001u),
            RawPeer.Message(12, MigDataRead, 1, 11u, 3u, new byte[] { 1, 2, 3 }),
            RawPeer.Message(13, MigDataWrite, 0, 12u, 4u, new byte[] { 4, 3, 2, 1 }),
            RawPeer.Message(14, Feature, 0, 8u, 0x2_0007u),
            RawPeer.Message(15, WriteMulti, 1, 2ul));
        Assert.All(packets, packet => Assert.DoesNotContain(packet.Experts, text => !text.StartsWith("vfiouser.unmatched", StringComparison.Ordinal)));

        Assert.Equal(Capabilities.TrimEnd('\0'), packets[0]["vfiouser.version.json"].TrimEnd('\0'));
        Assert.Equal((8ul, 65536ul, 4096ul, 1ul), (
            packets[0].Number("vfiouser.version.max_msg_fds"), packets[0].Number("vfiouser.version.max_data_xfer_size"),
            packets[0].Number("vfiouser.version.pgsizes"), packets[0].Number("vfiouser.version.twin_socket.fd_index")));
        Assert.Equal(8192ul, packets[0].Number("vfiouser.version.migration.pgsize"));
        Assert.Equal(("true", "true"), (packets[0]["vfiouser.version.write_multiple"], packets[0]["vfiouser.version.twin_socket.supported"]));
        Assert.Equal((0x1000ul, 8ul), (packets[1].Number("vfiouser.bitmap.page_size"), packets[1].Number("vfiouser.bitmap.size")));
        Assert.Equal("01:00:00:00:00:00:00:80", packets[1]["vfiouser.bitmap.data"]);
        Assert.Equal((1ul, 1ul), (packets[2].Number("vfiouser.cap.id"), packets[2].Number("vfiouser.cap.areas")));
        Assert.Equal((0x2000ul, 0x1000ul), (packets[2].Number("vfiouser.cap.area.offset"), packets[2].Number("vfiouser.cap.area.size")));
        Assert.Equal((0x1008ul, 4ul, 7ul), (
            packets[3].Number("vfiouser.offset"), packets[3].Number("vfiouser.io_fds.size"), packets[3].Number("vfiouser.io_fds.datamatch")));
        Assert.Equal((1ul, 3ul, 2ul), (packets[4].Number("vfiouser.irq.index"), packets[4].Number("vfiouser.irq.start"), packets[4].Number("vfiouser.irq.count")));
        Assert.Equal("01:00", packets[4]["vfiouser.data"]);
        Assert.Equal(2ul, packets[5].Number("vfiouser.writes"));
        Assert.Equal([0x10ul, 0x20ul], packets[5].Numbers("vfiouser.offset"));
        Assert.Equal([0ul, 1ul], packets[5].Numbers("vfiouser.region"));
        Assert.Equal([4ul, 1ul], packets[5].Numbers("vfiouser.count"));
        Assert.Equal([0x1234ul, 0x56ul], packets[5].Numbers("vfiouser.value"));
        Assert.Equal((1ul, 5ul), (packets[6].Number("vfiouser.feature.index"), packets[6].Number("vfiouser.migration.flags")));
        Assert.Equal(3ul, packets[7].Number("vfiouser.migration.state"));
        Assert.Equal("-1", packets[7]["vfiouser.migration.data_fd"]);
        Assert.Equal((4096ul, 1ul, 0x10_0000ul, 0x8000ul), (
            packets[8].Number("vfiouser.bitmap.page_size"), packets[8].Number("vfiouser.logging.ranges"),
            packets[8].Number("vfiouser.address"), packets[8].Number("vfiouser.length")));
        Assert.Equal("01:00:00:00:00:00:00:80", packets[9]["vfiouser.bitmap.data"]);
        Assert.Equal((3ul, "01:02:03"), (packets[11].Number("vfiouser.migration.size"), packets[11]["vfiouser.data"]));
        Assert.Equal(0x0102_0304ul, packets[12].Number("vfiouser.value"));
        Assert.Equal(7ul, packets[13].Number("vfiouser.feature.index"));
        Assert.Equal(2ul, packets[14].Number("vfiouser.writes"));
    }

    [Fact]
    public void A_refusal_is_shown_by_the_name_of_its_errno()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        CaptureStream capture = new();
        using (TestServer server = new(options: new VfioUserServerOptions { Capture = capture.Capture }))
        using (RawPeer peer = server.ConnectRaw())
            Assert.Equal(22u, peer.Ask(RegionRead, [0ul, 99u, 4u]).Error);
        Tshark.Packet refusal = Tshark.Read(capture.End())[^1];
        Assert.Equal(22ul, refusal.Number("vfiouser.errno"));
        Assert.Contains("vfiouser.refused: refused: EINVAL", refusal.Experts);
    }

    [Fact]
    public void A_malformed_message_is_shown_as_that_with_the_reason()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        List<Tshark.Packet> packets = Show([.. Malformed.Select(row => row.Message)]);
        Assert.Equal(Malformed.Length, packets.Count);
        Assert.All(Malformed.Zip(packets), pair => Assert.Contains($"vfiouser.malformed: {pair.First.Reason}", pair.Second.Experts));
    }

    [Theory]
    [InlineData(uint.MaxValue)]
    [InlineData(1024u)]
    [InlineData(0u)]
    public void Capabilities_and_their_areas_share_the_limit_of_a_message(uint areas)
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        const int Count = 4000, Limit = 1024;

        // Each has its areas in the next ones.
        byte[] chain = [.. Enumerable.Range(0, Count).SelectMany(index =>
            RawPeer.Bytes((ushort)1, (ushort)1, index < Count - 1 ? 32 + (16 * (index + 1)) : 0, areas, 0u))];
        Tshark.Packet packet = Assert.Single(Show(RawPeer.Message(1, GetRegionInfo, 1, 40u, 8u, 0u, 32u, 0ul, 0ul, chain)));
        Assert.Equal(Limit, packet.All("vfiouser.cap.id").Length + packet.All("vfiouser.cap.area.offset").Length);
    }

    [Fact]
    public void The_type_of_a_region_and_what_no_field_has_are_shown()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        byte[] chain = RawPeer.Bytes(
            0xeeul, 0xffu, (ushort)2, (ushort)1, 64u, 0x8000_8086u, 3u, 0xaau, (ushort)77, (ushort)1, 0u, new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9 });
        Tshark.Packet packet = Assert.Single(Show(RawPeer.Message(1, GetRegionInfo, 1, 40u, 8u, 0u, 44u, 0ul, 0ul, chain)));
        Assert.Equal((0x8000_8086ul, 3ul), (packet.Number("vfiouser.cap.type"), packet.Number("vfiouser.cap.subtype")));
        Assert.Equal([2ul, 77ul], packet.Numbers("vfiouser.cap.id"));
        Assert.Equal(["ee:00:00:00:00:00:00:00:ff:00:00:00", "aa:00:00:00", "01:02:03:04:05:06:07:08:09"], packet.All("vfiouser.data"));
        Assert.DoesNotContain(packet.Experts, text => !text.StartsWith("vfiouser.unmatched", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1024)]
    [InlineData(1025)]
    [InlineData(4000)]
    public void More_ranges_than_are_shown_are_no_fault_of_the_message(int ranges)
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        byte[] body = [.. Enumerable.Range(0, ranges).SelectMany(index => RawPeer.Bytes((ulong)index << 12, 4096ul))];
        Tshark.Packet packet = Assert.Single(Show(RawPeer.Message(1, Feature, 0, 24u, 0x2_0006u, 4096ul, ranges, 0u, body)));
        Assert.Empty(packet.Experts);
        Assert.Equal(1024, packet.All("vfiouser.address").Length);
    }

    [Fact]
    public void Commands_that_are_under_way_with_one_id_are_matched_each_to_its_reply()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        CaptureStream capture = new();
        CapturePoint server = capture.Capture.Begin(isServer: true);
        byte[] read = RawPeer.Message(0, RegionRead, 0, 0ul, 0u, 4u), readReply = RawPeer.Message(0, RegionRead, 1, 0ul, 0u, 4u, 7u);
        server.Received(read, 0);
        server.Received(RawPeer.Message(0, RegionWrite, 0, 0ul, 0u, 4u, 7u), 0);
        server.Received(read, 0);
        server.Sending([.. readReply, .. RawPeer.Message(0, RegionWrite, 1, 0ul, 0u, 4u), .. readReply], default, 0);
        List<Tshark.Packet> packets = Tshark.Read(capture.End(), "-2");
        Assert.Equal(["4", "5", "6"], packets[..3].Select(packet => packet["vfiouser.response_in"]));
        Assert.Equal(["1", "2", "3"], packets[3..].Select(packet => packet["vfiouser.response_to"]));
        Assert.All(packets, packet => Assert.Empty(packet.Experts));
    }

    [Fact]
    public void A_command_whose_reply_is_missing_does_not_take_the_reply_of_a_much_later_one()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        CaptureStream capture = new();
        CapturePoint server = capture.Capture.Begin(isServer: true);
        server.Received(RawPeer.Message(7, Reset, 0), 0);
        for (ushort id = 8; id < 5008; id++)
            server.Received(RawPeer.Message(id, Reset, 0x10), 0);
        server.Received(RawPeer.Message(7, Reset, 0), 0);
        server.Sending(RawPeer.Message(7, Reset, 1), default, 0);
        List<Tshark.Packet> packets = Tshark.Read(capture.End(), "-2", "-Y", "vfiouser.id == 7");
        Assert.Contains("vfiouser.unmatched: no reply to this command is in the capture", packets[0].Experts);
        Assert.Equal("5003", packets[1]["vfiouser.response_in"]);
        Assert.Equal("5002", packets[2]["vfiouser.response_to"]);
    }

    [Fact]
    public void A_reply_without_its_command_is_matched_to_none_and_one_of_another_command_is_told()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        CaptureStream capture = new();
        CapturePoint server = capture.Capture.Begin(isServer: true);
        server.Received(RawPeer.Message(7, Reset, 0), 0);
        server.Received(RawPeer.Message(8, Reset, 0x10), 0);
        server.Twin().Sending(RawPeer.Message(7, DmaRead, 0, 0ul, 4ul), default, 0);
        server.Sending([.. RawPeer.Message(7, Reset, 1), .. RawPeer.Message(7, Reset, 1), .. RawPeer.Message(8, Reset, 1)], default, 0);
        server.Received(RawPeer.Message(7, RegionRead, 0, 0ul, 0u, 4u), 0);
        server.Sending(RawPeer.Message(7, RegionWrite, 1, 0ul, 0u), RawPeer.Bytes(4u), 0);
        List<Tshark.Packet> packets = Tshark.Read(capture.End(), "-2");

        Assert.Equal("4", packets[0]["vfiouser.response_in"]);
        Assert.Equal("1", packets[3]["vfiouser.response_to"]);
        Assert.All([packets[4], packets[5]], packet => Assert.Contains("vfiouser.unmatched: no command of this reply is in the capture", packet.Experts));
        Assert.Empty(packets[1].Experts);
        Assert.Contains("vfiouser.unmatched: no reply to this command is in the capture", packets[2].Experts);
        Assert.Contains("vfiouser.malformed: the command with this id was another: REGION_READ", packets[7].Experts);
    }

    [Fact]
    public void What_the_capture_has_not_kept_is_no_fault_of_the_message()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        byte[] write = RawPeer.Message(1, RegionWrite, 0, 0x10ul, 2u, 1000u, new byte[1000]);
        foreach (int snap in (int[])[16, 20, 28, 32, 100])
        {
            Tshark.Packet packet = Assert.Single(Show(new VfioUserCaptureOptions { SnapLengthBytes = snap }, write));
            Assert.Contains(packet.Experts, text => text.StartsWith("vfiouser.cut", StringComparison.Ordinal));
            Assert.DoesNotContain(packet.Experts, text => text.StartsWith("vfiouser.malformed", StringComparison.Ordinal));
            Assert.Equal(1032ul, packet.Number("vfiouser.size"));
            Assert.Equal(snap >= 32, packet.Has("vfiouser.count"));
        }
    }

    [Fact]
    public void No_bytes_end_tshark()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        Random random = new(14);
        byte[][] seeds = [.. Malformed.Select(row => row.Message).Where(message => message.Length >= 16)];
        CaptureStream capture = new();
        CapturePoint point = capture.Capture.Begin(isServer: true);
        for (int count = 0; count < 3000; count++)
        {
            byte[] bytes;
            if (random.Next(8) == 0)
            {
                bytes = new byte[random.Next(200)];
                random.NextBytes(bytes);
            }
            else
            {
                bytes = [.. seeds[random.Next(seeds.Length)]];
                for (int change = random.Next(6); change > 0; change--)
                    bytes[random.Next(bytes.Length)] = (byte)(random.Next(2) == 0 ? 0xff : random.Next(256));
                if (random.Next(3) == 0)
                    bytes = bytes[..random.Next(bytes.Length + 1)];
                if (random.Next(3) == 0)
                    BitConverter.TryWriteBytes(bytes.AsSpan(Math.Min(4, bytes.Length)), bytes.Length);
            }

            if (random.Next(2) == 0)
                point.Received(bytes, random.Next(3));
            else
                point.ReceivedPart(bytes, 0);
        }

        // Reads it twice, as Wireshark's window does; an error of the script, or an end of tshark, fails.
        Assert.Equal(3000, Tshark.Read(capture.End(), "-2").Count);
    }

    /// <summary>Messages that a server received, as tshark shows them.</summary>
    private static List<Tshark.Packet> Show(params byte[][] messages) => Show(new VfioUserCaptureOptions(), messages);

    private static List<Tshark.Packet> Show(VfioUserCaptureOptions options, params byte[][] messages)
    {
        CaptureStream capture = new(options);
        CapturePoint point = capture.Capture.Begin(isServer: true);
        foreach (byte[] message in messages)
            point.Received(message, 0);
        return Tshark.Read(capture.End());
    }
}
