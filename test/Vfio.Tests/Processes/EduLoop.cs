namespace Vfio.Tests.Processes;

/// <summary>A driver of edu that computes, interrupts and copies, and looks at every result.</summary>
internal sealed class EduLoop(PciDevice edu, DmaBuffer buffer)
{
    private const int Liveness = 0x04, Factorial = 0x08, Status = 0x20, InterruptStatus = 0x24, Acknowledge = 0x64;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    internal void Run(CancellationToken end)
    {
        Bar bar = edu.OpenBar(0);
        Interrupt interrupt = edu.Interrupts.Enable(1)[0];
        bar.Write32(Status, 0x80);
        for (uint round = 0; !end.IsCancellationRequested || round == 0; round++)
        {
            bar.Write32(Liveness, round);
            Assert.Equal(~round, bar.Read32(Liveness));
            bar.Write32(Factorial, 5 + (round % 4));
            Await(bar, interrupt);
            Assert.Equal(new uint[] { 120, 720, 5040, 40320 }[round % 4], bar.Read32(Factorial));
            byte[] bytes = [.. Enumerable.Range(0, 256).Select(i => (byte)(i + round))];
            buffer.Write(0, bytes);
            Copy(bar, interrupt, buffer.Start.Value, 0x40000, 256, 5);
            Copy(bar, interrupt, 0x40000, buffer.Start.Value + 0x800, 256, 7);
            byte[] back = new byte[256];
            buffer.Read(0x800, back);
            Assert.Equal(bytes, back);
        }
    }

    private static void Copy(Bar bar, Interrupt interrupt, ulong source, ulong destination, ulong count, ulong command)
    {
        bar.Write64(0x80, source);
        bar.Write64(0x88, destination);
        bar.Write64(0x90, count);
        bar.Write64(0x98, command);
        Await(bar, interrupt);
    }

    private static void Await(Bar bar, Interrupt interrupt)
    {
        Assert.True(interrupt.Wait(TestTimeout), "an interrupt was lost");
        bar.Write32(Acknowledge, bar.Read32(InterruptStatus));
    }
}
