using System.Diagnostics;
using System.Globalization;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Tests.Drivers;

// What a frame costs the driver of the 82576 when the device costs nothing: batches of 32 on rings of 512 in memory, completed between
// rounds of 15 batches, outside of the time. rings.c is the same in C; both print the median of many rounds in nanoseconds a frame.
const int Batch = 32, BatchesARound = 15, FrameBytes = 60, Rounds = 40_000, WarmUp = 20_000;

IgbStandIn device = new(mapped: true) { IsLogging = false, KeepsFrames = false };
using IgbPort port = new(device, new IgbOptions { ReceiveEntries = 512, TransmitEntries = 512, Interrupts = false });
byte[] bytes = new byte[FrameBytes];
EthernetFrame[] frames = new EthernetFrame[Batch];

Print("transmit", Measure(Nothing, Transmit, device.Complete));
Print("receive", Measure(Deliver, Receive, Nothing));
Print("forward", Measure(Deliver, Forward, device.Complete));

static void Nothing()
{
}

void Deliver()
{
    for (int i = 0; i < Batch * BatchesARound; i++)
        device.Deliver(bytes);
}

void Transmit()
{
    Span<EthernetFrame> batch = frames;
    for (int i = 0; i < BatchesARound; i++)
    {
        Demand(port.Take(batch));
        for (int j = 0; j < batch.Length; j++)
            batch[j] = new EthernetFrame(batch[j].Buffer, FrameBytes);
        Demand(port.Transmit(batch));
    }
}

void Receive()
{
    for (int i = 0; i < BatchesARound; i++)
    {
        Demand(port.Receive(frames));
        port.Return(frames);
    }
}

void Forward()
{
    for (int i = 0; i < BatchesARound; i++)
    {
        Demand(port.Receive(frames));
        Demand(port.Transmit(frames));
    }
}

static void Demand(int count)
{
    if (count != Batch)
        throw new InvalidOperationException($"{count} frames instead of {Batch}");
}

static double Measure(Action before, Action action, Action after)
{
    long[] ticks = new long[Rounds];
    for (int round = -WarmUp; round < Rounds; round++)
    {
        before();
        long start = Stopwatch.GetTimestamp();
        action();
        long end = Stopwatch.GetTimestamp();
        after();
        if (round >= 0)
            ticks[round] = end - start;
    }

    Array.Sort(ticks);
    return ticks[Rounds / 2] * 1e9 / Stopwatch.Frequency / (Batch * BatchesARound);
}

static void Print(string name, double nanoseconds) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name} {nanoseconds:f2}"));
