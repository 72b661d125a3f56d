using Vfio.Captures;
using Vfio.Drivers.Ethernet;
using Vfio.Net;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Net;

/// <summary>Stations on two ends of a wire.</summary>
public sealed class StationTests : IDisposable
{
    private readonly WirePort _own;
    private readonly WirePort _peer;
    private readonly Responder _responder = new(Frames.OwnMac, Frames.OwnAddress);

    public StationTests() => (_own, _peer) = WirePort.CreatePair();

    [Fact]
    public void Questions_are_answered_in_one_batch_and_the_others_released()
    {
        EchoStation station = new(_own, _responder);
        foreach (byte[] frame in (byte[][])[Frames.ArpRequest, Frames.ArpReply, Frames.EchoRequest, Frames.UdpRequest])
            Assert.True(_peer.TrySend(frame));

        Assert.Equal(4, station.Poll());

        Assert.Equal((4, 3, 0, 1), (station.Received, station.Sent, station.Unsent, _own.Transmits));
        Assert.Equal([Frames.ArpReply, Frames.EchoReply, Frames.UdpReply], Drain(_peer));
        Assert.Equal(0, station.Poll());
    }

    [Fact]
    public void Answers_without_room_are_counted_and_their_buffers_released()
    {
        EchoStation station = new(_own, _responder);
        for (int i = 0; i < 10; i++)
            _peer.TrySend(Frames.EchoRequest);
        _own.Room = 4;
        Assert.Equal(10, station.Poll());
        Assert.Equal((4, 6), (station.Sent, station.Unsent));
        Assert.Equal(_own.Buffers.Count, _own.Buffers.FreeCount);
    }

    [Fact]
    public void An_observer_sees_each_frame_as_it_came()
    {
        List<byte[]> seen = [];
        EchoStation station = new(_own, _responder) { Observer = (frame, _) => seen.Add(frame.ToArray()) };
        _peer.TrySend(Frames.EchoRequest);
        _peer.TrySend(Frames.ArpReply);
        station.Poll();
        Assert.Equal([Frames.EchoRequest, Frames.ArpReply], seen);
    }

    [Fact]
    public void A_recorder_writes_what_came_and_hands_it_on()
    {
        using MemoryStream stream = new();
        using PcapngWriter writer = new(stream, new PcapngInterface("own", Frames.OwnMac), "vfio test");
        FrameRecorder recorder = new(_own, writer, new CaptureClock());
        for (int i = 0; i < 100; i++)
            _peer.TrySend(Frames.EchoRequest.With(Frames.Message + 6, i.ToString("x4")));

        Assert.Equal(64, recorder.Poll());
        Assert.Equal(10, recorder.Poll(10));
        Assert.Equal(26, recorder.Poll());
        Assert.Equal(0, recorder.Poll());

        PcapngReader.Block[] frames = [.. PcapngReader.Read(stream.ToArray()).Where(block => block.Type == 6)];
        Assert.Equal((100, 6000), (frames.Length, recorder.FrameBytes));
        Assert.All(frames.Index(), one => Assert.Equal(one.Index, one.Item.Packet[Frames.Message + 7]));
        Assert.Equal(frames.Select(frame => frame.Time).Order(), frames.Select(frame => frame.Time));
        DateTime time = DateTime.UnixEpoch + TimeSpan.FromTicks((long)(frames[0].Time / 100));
        Assert.InRange(time, DateTime.UtcNow.AddMinutes(-10), DateTime.UtcNow.AddMinutes(1));
    }

    [Fact]
    public void A_recorder_whose_file_is_full_gives_its_buffers_back()
    {
        using FileStream full = new("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        PcapngWriter writer = new(full, new PcapngInterface("own", Frames.OwnMac), "vfio test");
        FrameRecorder recorder = new(_own, writer, new CaptureClock());
        _peer.TrySend(Frames.EchoRequest);
        Assert.Throws<IOException>(() => recorder.Poll());
        writer.Dispose();
    }

    [Fact]
    public void Nothing_is_allocated_for_a_frame()
    {
        EchoStation station = new(_own, _responder);
        using PcapngWriter writer = new(Stream.Null, new PcapngInterface("peer", Frames.PeerMac), "vfio test");
        FrameRecorder recorder = new(_peer, writer, new CaptureClock());
        byte[] question = Frames.EchoRequest;
        Assert.Equal(0, Measure.Allocations(() =>
        {
            for (int i = 0; i < 4; i++)
                _peer.TrySend(question);
            Assert.True(station.Poll() == 4 && recorder.Poll() == 4);
        }));
    }

    public void Dispose()
    {
        _own.Dispose();
        _peer.Dispose();
    }

    private static List<byte[]> Drain(WirePort port)
    {
        List<byte[]> frames = [];
        EthernetFrame[] one = new EthernetFrame[1];
        while (port.Receive(one) == 1)
        {
            byte[] bytes = new byte[one[0].Length];
            port.Buffers.Read(one[0], 0, bytes);
            frames.Add(bytes);
            port.Return(one);
        }

        return frames;
    }
}
