using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>A driver goes on when its server's process is killed and started again.</summary>
public sealed class RestartTests
{
    private const int Identification = 0x00, Liveness = 0x04, Factorial = 0x08, Status = 0x20, InterruptStatus = 0x24, Acknowledge = 0x64;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public void A_driver_goes_on_after_its_server_was_killed()
    {
        using ServerProcess server = new();
        VfioUserClientOptions options = new() { ReconnectTimeout = TestTimeout };
        using PciDevice edu = new(VfioUserClient.Connect(server.SocketPath, options));
        using ManualResetEventSlim restarted = new();
        edu.Restarted += restarted.Set;
        Bar bar = edu.OpenBar(0);
        Interrupt interrupt = edu.Interrupts.Enable(1)[0];
        using DmaBuffer buffer = edu.AllocateDma(4096);
        for (int round = 1; round <= 2; round++)
        {
            edu.EnableBusMaster();
            bar.Write32(Liveness, 0x1234);
            Assert.Equal(~0x1234u, bar.Read32(Liveness));
            bar.Write32(Status, 0x80);
            bar.Write32(Factorial, 5);
            Assert.True(interrupt.Wait(TestTimeout));
            Assert.Equal(120u, bar.Read32(Factorial));
            bar.Write32(Acknowledge, bar.Read32(InterruptStatus));
            CheckDma(bar, interrupt, buffer);
            server.Kill();
            server.StartAgain();
            Assert.Equal(0x0100_00edu, bar.Read32(Identification));
            Assert.True(restarted.Wait(TestTimeout));
            restarted.Reset();
            Assert.False(edu.IsBusMaster);
            interrupt.Forget();
        }
    }

    /// <summary>The device copies from memory into its own buffer and back to another place.</summary>
    private static void CheckDma(Bar bar, Interrupt interrupt, DmaBuffer buffer)
    {
        const ulong DeviceBuffer = 0x40000;
        byte[] bytes = [.. Enumerable.Range(1, 64).Select(i => (byte)i)];
        buffer.Write(0, bytes);
        Copy(bar, interrupt, buffer.Start.Value, DeviceBuffer, 64, toMemory: false);
        Copy(bar, interrupt, DeviceBuffer, buffer.Start.Value + 0x800, 64, toMemory: true);
        byte[] back = new byte[64];
        buffer.Read(0x800, back);
        Assert.Equal(bytes, back);
    }

    private static void Copy(Bar bar, Interrupt interrupt, ulong source, ulong destination, ulong count, bool toMemory)
    {
        bar.Write64(0x80, source);
        bar.Write64(0x88, destination);
        bar.Write64(0x90, count);
        bar.Write64(0x98, toMemory ? 7ul : 5ul);
        Assert.True(interrupt.Wait(TestTimeout));
        bar.Write32(Acknowledge, bar.Read32(InterruptStatus));
    }
}
