using System.Buffers.Binary;
using Vfio.Net;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Net;

/// <summary>Captures, read block by block and by tcpdump.</summary>
public sealed class PcapngWriterTests
{
    private const ulong Noon = 1_800_000_000_123_456_789;
    private static readonly PcapngInterface Port = new("0000:01:00.0", Frames.OwnMac) { Description = "a port" };

    [Fact]
    public void A_capture_has_its_blocks_in_order()
    {
        List<PcapngReader.Block> blocks = PcapngReader.Read(Capture(Port, writer =>
        {
            writer.Write(Frames.ArpRequest, Noon);
            writer.Write(Frames.EchoReply[..54], Noon + 1, PacketDirection.Outbound);
            writer.Finish(Noon - 5, Noon + 5, received: 7, dropped: 2);
        }));
        Assert.Equal([0x0a0d0d0a, 1, 6, 6, 5], blocks.Select(block => block.Type));

        PcapngReader.Block section = blocks[0];
        Assert.Equal((0x1a2b3c4du, 1u), (section.Number(0), section.Number(4)));
        Assert.Equal(uint.MaxValue, section.Number(8));
        Assert.Equal("vfio test", section.Text(4));

        PcapngReader.Block port = blocks[1];
        Assert.Equal((1u, 262144u), (port.Number(0), port.Number(4)));
        Assert.Equal(("0000:01:00.0", "a port"), (port.Text(2), port.Text(3)));
        Assert.Equal("020000000007", Convert.ToHexString(port.Options[6]));
        Assert.Equal([9], port.Options[9]);

        Assert.Equal((Noon, Noon + 1), (blocks[2].Time, blocks[3].Time));
        Assert.Equal(Frames.ArpRequest, blocks[2].Packet);
        Assert.Equal(Frames.EchoReply[..54], blocks[3].Packet);
        Assert.Equal(54u, blocks[3].Number(16));

        PcapngReader.Block statistics = blocks[4];
        Assert.Equal(Noon + 5, statistics.Time);
        Assert.Equal(7ul, BinaryPrimitives.ReadUInt64LittleEndian(statistics.Options[4]));
        Assert.Equal(2ul, BinaryPrimitives.ReadUInt64LittleEndian(statistics.Options[5]));
        Assert.Equal((uint)((Noon - 5) >> 32), BinaryPrimitives.ReadUInt32LittleEndian(statistics.Options[2]));
        Assert.Equal(unchecked((uint)(Noon + 5)), BinaryPrimitives.ReadUInt32LittleEndian(statistics.Options[3].AsSpan(4)));
    }

    [Theory]
    [InlineData("020000000007", PacketDirection.Inbound, 0b001_01)]
    [InlineData("01005e000001", PacketDirection.Inbound, 0b010_01)]
    [InlineData("ffffffffffff", PacketDirection.Outbound, 0b011_10)]
    [InlineData("525400123456", PacketDirection.Inbound, 0b100_01)]
    public void Flags_say_which_way_and_to_whom(string destination, Enum direction, uint flags)
    {
        List<PcapngReader.Block> blocks = PcapngReader.Read(Capture(
            Port with { IsPromiscuous = true }, writer => writer.Write(Frames.EchoRequest.With(0, destination), Noon, (PacketDirection)direction)));
        Assert.Equal(flags, BinaryPrimitives.ReadUInt32LittleEndian(blocks[2].Options[2]));
    }

    [Fact]
    public void A_frame_is_cut_at_the_snap_length_and_its_length_is_kept()
    {
        List<PcapngReader.Block> blocks = PcapngReader.Read(Capture(
            Port with { SnapLengthBytes = 33 }, writer => writer.Write(Frames.EchoRequest, Noon)));
        Assert.Equal(33u, blocks[1].Number(4));
        Assert.Equal(Frames.EchoRequest[..33], blocks[2].Packet);
        Assert.Equal(60u, blocks[2].Number(16));
    }

    [Fact]
    public void Frames_of_all_lengths_fill_the_buffer_many_times()
    {
        byte[] bytes = new byte[20_000];
        new Random(4).NextBytes(bytes);
        byte[] file = Capture(Port, writer =>
        {
            for (int length = 0; length < bytes.Length; length += 37)
                writer.Write(bytes.AsSpan(0, length), Noon + (ulong)length);
            writer.Finish(Noon, Noon, writer.Frames);
        });
        List<PcapngReader.Block> frames = [.. PcapngReader.Read(file).Where(block => block.Type == 6)];
        Assert.Equal(541, frames.Count);
        Assert.All(frames, block => Assert.Equal(bytes[..(int)(block.Time - Noon)], block.Packet));
    }

    [Fact]
    public void A_reader_sees_whole_blocks_after_each_flush()
    {
        using MemoryStream stream = new();
        using PcapngWriter writer = new(stream, Port, "vfio test");
        Assert.Equal(0, stream.Length);
        for (int i = 1; i < 10; i++)
        {
            writer.Write(Frames.ArpRequest, Noon);
            writer.Flush();
            Assert.Equal(2 + i, PcapngReader.Read(stream.ToArray()).Count);
            Assert.Equal(stream.Length, writer.WrittenBytes);
        }
    }

    [Fact]
    public void What_a_reader_refused_is_not_written_twice()
    {
        using PcapngWriter writer = new(new FullStream(), Port, "vfio test");
        writer.Write(Frames.ArpRequest, Noon);
        Assert.Throws<IOException>(writer.Flush);
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        using PcapngWriter writer = new(Stream.Null, Port, "vfio test");
        byte[] frame = Frames.EchoRequest;
        Assert.Equal(0, Measure.Allocations(() =>
        {
            writer.Write(frame, Noon);
            writer.Flush();
        }));
    }

    [Fact]
    public void Tcpdump_reads_it()
    {
        Assert.SkipUnless(Tcpdump.IsInstalled, "needs tcpdump");
        string text = Tcpdump.Read(Capture(Port, writer =>
        {
            writer.Write(Frames.ArpRequest, Noon);
            writer.Write(Frames.ArpReply, Noon + 1_000, PacketDirection.Outbound);
            writer.Write(Frames.EchoRequest, Noon + 2_000);
            writer.Write(Frames.EchoReply, Noon + 3_000, PacketDirection.Outbound);
            writer.Write(Frames.UdpRequest.Tagged("8100 a064"), Noon + 4_000);
            writer.Finish(Noon, Noon + 5_000, 3);
        }), "-v", "-e", "-tt", "--nano");
        Assert.Contains("1800000000.123456789 52:54:00:12:34:56 > ff:ff:ff:ff:ff:ff", text);
        Assert.Contains("Request who-has 192.0.2.7 tell 192.0.2.1", text);
        Assert.Contains("Reply 192.0.2.7 is-at 02:00:00:00:00:07", text);
        Assert.Contains("192.0.2.1 > 192.0.2.7: ICMP echo request, id 16962, seq 1, length 20", text);
        Assert.Contains("1800000000.123459789", text);
        Assert.Contains("192.0.2.7 > 192.0.2.1: ICMP echo reply, id 16962, seq 1, length 20", text);
        Assert.Contains("vlan 100, p 5", text);
        Assert.DoesNotContain("bad", text);
        Assert.DoesNotContain("wrong", text);
    }

    private static byte[] Capture(PcapngInterface port, Action<PcapngWriter> write)
    {
        using MemoryStream stream = new();
        using (PcapngWriter writer = new(stream, port, "vfio test"))
            write(writer);
        return stream.ToArray();
    }

    private sealed class FullStream : MemoryStream
    {
        private bool _isRefused;

        public override void Write(byte[] buffer, int offset, int count)
        {
            Assert.False(_isRefused);
            _isRefused = true;
            throw new IOException("no space left");
        }
    }
}
