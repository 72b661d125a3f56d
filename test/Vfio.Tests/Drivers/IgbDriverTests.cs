using System.Diagnostics;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Net;

namespace Vfio.Tests.Drivers;

/// <summary>The driver on the model of the 82576, one port at each end of a cable; derived classes say how the devices are
/// reached.</summary>
public abstract class IgbDriverTests
{
    protected const string FirstMac = "02:00:00:00:00:01", SecondMac = "02:00:00:00:00:02";
    private static readonly Ipv4Interface FirstAddress = AddressOf("192.0.2.1/24"), SecondAddress = AddressOf("192.0.2.2/24");

    [Fact]
    public void Both_ports_have_their_addresses_and_a_link()
    {
        using IgbPort first = new(OpenFirst());
        using IgbPort second = new(OpenSecond());
        AwaitLinks(first, second);
        Assert.Equal(FirstMac, first.Address.ToString());
        Assert.Equal(SecondMac, second.Address.ToString());
        Assert.False(first.IsVirtualFunction);
        Assert.True(first.HasInterrupts);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Frames_of_every_length_arrive_as_they_were_sent(bool interrupts)
    {
        using IgbPort first = new(OpenFirst(), new IgbOptions { Interrupts = interrupts });
        using IgbPort second = new(OpenSecond(), new IgbOptions { Interrupts = interrupts });
        AwaitLinks(first, second);
        for (int length = 60; length <= 1514; length += 37)
        {
            byte[] frame = FrameTo(second, length);
            Assert.True(first.TrySend(frame));
            Assert.Equal(frame, Receive(second));
        }
    }

    [Fact]
    public void Twenty_thousand_frames_arrive_in_their_order()
    {
        using IgbPort first = new(OpenFirst());
        using IgbPort second = new(OpenSecond());
        AwaitLinks(first, second);
        const int Count = 20_000, Window = 128;
        EthernetFrame[] frames = new EthernetFrame[32];
        byte[] bytes = new byte[2048];
        byte[] frame = FrameTo(second, 128);
        int sent = 0, received = 0;
        while (received < Count)
        {
            while (sent < Count && sent - received < Window)
            {
                BitConverter.TryWriteBytes(frame.AsSpan(20), sent);
                if (!first.TrySend(frame))
                    break;
                sent++;
            }

            Assert.True(second.Wait(HangGuard.Timeout), $"{received} of {sent} came");
            int count = second.Receive(frames);
            foreach (EthernetFrame one in frames.AsSpan(0, count))
                Assert.Equal(received++, BitConverter.ToInt32(second.Buffers.Read(one, bytes)[20..]));
            second.Return(frames.AsSpan(0, count));
        }
    }

    [Fact]
    public void Pings_are_answered()
    {
        using IgbPort first = new(OpenFirst(), new IgbOptions { InterruptInterval = TimeSpan.FromMicroseconds(50) });
        using IgbPort second = new(OpenSecond(), new IgbOptions { InterruptInterval = TimeSpan.FromMicroseconds(50) });
        AwaitLinks(first, second);
        EchoStation station = new(second, new Responder(second.Address, SecondAddress));
        Pinger pinger = new(first.Address, FirstAddress, SecondAddress.Address, SecondAddress.Address, 1400, 0x4242);
        byte[] bytes = new byte[2048];
        Exchange(first, station, pinger, bytes, pinger.WriteArpRequest(bytes), () => pinger.Station is not null);
        Assert.Equal(second.Address, pinger.Station);
        for (int i = 1; i <= 50; i++)
        {
            int wanted = i;
            int length = pinger.WriteEchoRequest(bytes, Stopwatch.GetTimestamp());
            Exchange(first, station, pinger, bytes, length, () => pinger.Received == wanted);
        }

        Assert.Equal((50, 50, 0), (pinger.Sent, pinger.Received, pinger.Corrupt));
    }

    [Fact]
    public void Frames_to_others_are_received_by_a_promiscuous_port_alone()
    {
        using IgbPort first = new(OpenFirst());
        using IgbPort second = new(OpenSecond());
        AwaitLinks(first, second);
        byte[] other = FrameTo(second, 64);
        other[5] ^= 0x55;
        byte[] own = FrameTo(second, 64);
        Assert.True(first.TrySend(other));
        Assert.True(first.TrySend(own));
        Assert.Equal(own, Receive(second));
        second.IsPromiscuous = true;
        Assert.True(first.TrySend(other));
        Assert.Equal(other, Receive(second));
    }

    [Fact]
    public void A_port_that_is_opened_again_starts_clean()
    {
        using IgbPort first = new(OpenFirst());
        for (int i = 0; i < 5; i++)
        {
            using IgbPort second = new(OpenSecond());
            AwaitLinks(first, second);
            byte[] frame = FrameTo(second, 100 + i);
            Assert.True(first.TrySend(frame));
            Assert.Equal(frame, Receive(second));
        }
    }

    protected abstract IVfioDevice OpenFirst();

    protected abstract IVfioDevice OpenSecond();

    private static void AwaitLinks(IgbPort first, IgbPort second) =>
        Assert.True(SpinWait.SpinUntil(() => first.IsLinkUp && second.IsLinkUp, HangGuard.Timeout), "no link");

    private static void Exchange(IgbPort port, EchoStation station, Pinger pinger, byte[] bytes, int length, Func<bool> isDone)
    {
        EthernetFrame[] frames = new EthernetFrame[8];
        Assert.True(port.TrySend(bytes.AsSpan(0, length)));
        bool isOver = SpinWait.SpinUntil(
            () =>
            {
                station.Poll();
                int count = port.Receive(frames);
                foreach (EthernetFrame frame in frames.AsSpan(0, count))
                    pinger.TryAccept(port.Buffers.Read(frame, bytes), Stopwatch.GetTimestamp(), out _);
                port.Return(frames.AsSpan(0, count));
                return isDone();
            },
            HangGuard.Timeout);
        Assert.True(isOver, "no answer");
    }

    private static byte[] Receive(IgbPort port)
    {
        EthernetFrame[] one = new EthernetFrame[1];
        Assert.True(port.Wait(HangGuard.Timeout), "no frame came");
        Assert.Equal(1, port.Receive(one));
        byte[] bytes = port.Buffers.Read(one[0], new byte[2048]).ToArray();
        port.Return(one);
        return bytes;
    }

    private static byte[] FrameTo(IgbPort port, int length)
    {
        byte[] frame = new byte[length];
        for (int i = 14; i < length; i++)
            frame[i] = (byte)(i * 7);
        port.Address.Write(frame);
        frame[6] = 0x02;
        frame[12] = 0x88;
        frame[13] = 0xb5;
        return frame;
    }

    private static Ipv4Interface AddressOf(string text)
    {
        Assert.True(Ipv4Interface.TryParse(text, out Ipv4Interface address));
        return address;
    }
}
