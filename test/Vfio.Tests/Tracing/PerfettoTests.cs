using System.Buffers.Binary;
using System.Text;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Tracing;
using Vfio.Tracing.Export;
using Vfio.Tracing.Text;

namespace Vfio.Tests.Tracing;

/// <summary>A trace in Perfetto's format, read by a decoder of this test's own. The numbers are those of
/// <c>protos/perfetto/trace/track_event/*.proto</c> of Perfetto.</summary>
public sealed class PerfettoTests
{
    private const ulong SliceBegin = 1, SliceEnd = 2, Instant = 3, CounterType = 4;
    private readonly List<Packet> _packets = [];
    private readonly Dictionary<ulong, (string Name, ulong Parent, bool IsCounter)> _tracks = [];

    public PerfettoTests()
    {
        MemoryStream stream = new();
        PerfettoWriter writer = new(stream);
        NamedEvents events = new((one, names) => writer.Write(one, names), () => { }, default);
        foreach (TraceEvent one in Recorded())
            events.Write(one);
        writer.Finish();
        foreach ((int field, ulong _, byte[] bytes) in Fields(stream.ToArray()))
        {
            Assert.Equal(1, field); // Trace.packet
            Read(bytes);
        }
    }

    [Fact]
    public void Every_event_is_on_a_track_that_was_described_before_and_tracks_hang_together()
    {
        Assert.NotEmpty(_packets);
        Assert.All(_packets, packet => Assert.True(packet.IsTrackKnown));
        Assert.All(_tracks.Values.Where(track => track.Parent != 0), track => Assert.Contains(track.Parent, _tracks.Keys));
        Assert.Equal("session 1: model:edu", Assert.Single(_tracks.Values, track => track.Parent == 0).Name);
        Assert.Contains(_tracks.Values, track => track.Name == "device");
    }

    [Fact]
    public void Reads_are_slices_with_the_registers_name_and_each_slice_ends()
    {
        Packet begin = _packets.First(packet => packet.Type == SliceBegin && packet.Name.Contains("Identification = 0x010000ed"));
        Packet end = _packets.SkipWhile(packet => packet != begin).First(packet => packet.Type == SliceEnd && packet.Track == begin.Track);
        Assert.True(end.Time > begin.Time);
        Assert.All(_packets.Where(packet => packet.Type is SliceBegin or SliceEnd).GroupBy(packet => packet.Track),
            track => Assert.Equal(track.Count(packet => packet.Type == SliceBegin), track.Count(packet => packet.Type == SliceEnd)));
    }

    [Fact]
    public void A_flow_leads_from_the_doorbell_to_the_dma_and_the_interrupt()
    {
        Packet dma = _packets.First(packet => packet.Type == Instant && packet.Name.StartsWith("dma-write", StringComparison.Ordinal));
        ulong flow = Assert.Single(dma.Flows);
        Packet[] same = [.. _packets.Where(packet => packet.Flows.Contains(flow))];
        Assert.Contains("DmaCommand", same[0].Name);
        Assert.Contains(same, packet => packet.Name.StartsWith("irq", StringComparison.Ordinal));
        Assert.Contains(_packets, packet => packet.Type == SliceBegin && packet.Name == "DmaCommand" && _tracks[packet.Track].Name == "commands");
    }

    [Fact]
    public void Counters_count_memory_mapped_dma_and_accesses()
    {
        Assert.Equal(200, Last("DMA"));
        Assert.Equal(0, Last("memory mapped"));
        Assert.Contains(_packets, packet => packet.Type == CounterType && _tracks[packet.Track].Name == "memory mapped" && packet.Counter > 0);
        Assert.True(Last("register accesses") > 10);

        long Last(string counter) => _packets.Last(packet => packet.Type == CounterType && _tracks[packet.Track] is { IsCounter: true } track && track.Name == counter).Counter;
    }

    [Fact]
    public void Memory_mapped_is_the_sum_of_the_ranges_that_are_left()
    {
        MappedRanges ranges = new();
        Dictionary<ulong, ulong> expected = [];
        Random random = new(7);
        for (int i = 0; i < 10_000; i++)
        {
            ulong start = (ulong)random.Next(100), length = (ulong)random.Next(1, 20);
            if (random.Next(3) == 0)
            {
                ranges.Remove(start, length);
                foreach (ulong gone in expected.Keys.Where(place => place >= start && place - start < length).ToArray())
                    expected.Remove(gone);
            }
            else
            {
                ranges.Add(start, length);
                expected[start] = length;
            }

            Assert.Equal(expected.Values.Sum(bytes => (long)bytes), (long)ranges.Bytes);
        }

        ranges.Add(ulong.MaxValue, 1);
        ranges.Remove(0, ulong.MaxValue);
        Assert.Equal(1ul, ranges.Bytes);
        ranges.Remove(1, ulong.MaxValue);
        Assert.Equal(0ul, ranges.Bytes);
    }

    private static TraceEvent[] Recorded()
    {
        using TraceRig rig = new(new TraceOptions { SeesDma = true });
        using GuardedFunction guard = new(new EduFunction());
        using (EduDriver edu = new(new TracedDevice(guard.Open(), rig.Trace)))
        {
            edu.Identify();
            using DmaBuffer memory = edu.Device.AllocateDma(4096);
            edu.CopyToDevice(memory, 0, 100);
            edu.CopyFromDevice(memory, 200, 100);
        }

        return rig.Events();
    }

    private void Read(byte[] packet)
    {
        ulong time = 0;
        foreach ((int field, ulong number, byte[] bytes) in Fields(packet))
        {
            if (field == 8) // TracePacket.timestamp
                time = number;
            else if (field == 10) // trusted_packet_sequence_id
                Assert.NotEqual(0u, number);
            else if (field == 11) // track_event
                ReadEvent(bytes, time);
            else if (field == 60) // track_descriptor
                ReadTrack(bytes);
            else
                Assert.Equal(13, field); // sequence_flags
        }
    }

    private void ReadEvent(byte[] bytes, ulong time)
    {
        Packet packet = new() { Time = time };
        foreach ((int field, ulong number, byte[] text) in Fields(bytes))
        {
            packet = field switch
            {
                9 => packet with { Type = number },
                11 => packet with { Track = number, IsTrackKnown = _tracks.ContainsKey(number) },
                23 => packet with { Name = Encoding.UTF8.GetString(text) },
                30 => packet with { Counter = (long)number },
                47 => packet with { Flows = [.. packet.Flows, number] },
                _ => throw new InvalidDataException($"TrackEvent has no field {field} here"),
            };
        }

        _packets.Add(packet);
    }

    private void ReadTrack(byte[] bytes)
    {
        ulong id = 0, parent = 0;
        string name = "";
        bool isCounter = false;
        foreach ((int field, ulong number, byte[] text) in Fields(bytes))
        {
            id = field == 1 ? number : id;
            name = field == 2 ? Encoding.UTF8.GetString(text) : name;
            parent = field == 5 ? number : parent;
            isCounter |= field == 8;
        }

        _tracks.Add(id, (name, parent, isCounter));
    }

    /// <summary>The fields of a message; protobuf.dev, "Encoding".</summary>
    private static IEnumerable<(int Field, ulong Number, byte[] Bytes)> Fields(byte[] message)
    {
        int at = 0;
        while (at < message.Length)
        {
            ulong tag = Varint();
            switch (tag & 7)
            {
                case 0:
                    yield return ((int)(tag >> 3), Varint(), []);
                    break;
                case 1:
                    yield return ((int)(tag >> 3), BinaryPrimitives.ReadUInt64LittleEndian(message.AsSpan(at)), []);
                    at += 8;
                    break;
                default:
                    Assert.Equal(2u, tag & 7);
                    int length = (int)Varint();
                    yield return ((int)(tag >> 3), 0, message[at..(at + length)]);
                    at += length;
                    break;
            }
        }

        ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte one = message[at++];
                value |= (ulong)(one & 0x7f) << shift;
                if (one < 0x80)
                    return value;
            }
        }
    }

    private sealed record Packet
    {
        internal ulong Time { get; init; }

        internal ulong Type { get; init; }

        internal ulong Track { get; init; }

        internal bool IsTrackKnown { get; init; }

        internal string Name { get; init; } = "";

        internal long Counter { get; init; }

        internal ulong[] Flows { get; init; } = [];
    }
}
