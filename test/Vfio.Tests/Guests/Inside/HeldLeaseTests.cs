namespace Vfio.Tests.Guests.Inside;

/// <summary>A user of a broker whose leases end in the midst of DMA: run inside a guest, by <see cref="BrokerOnLinuxTests"/>. Both say by
/// files how far they are.</summary>
public sealed class HeldLeaseTests
{
    /// <summary>An environment variable: the folder of the files, whose names are a step and the number of a round.</summary>
    internal const string Variable = "VFIO_TEST_SIGNALS";

    /// <summary>The user may open the device, whose name is in the file; its DMA runs; its lease has ended; another has had the device since; nothing reached memory, or
    /// what did.</summary>
    internal const string Free = "free", Running = "running", Ended = "ended", Taken = "taken", Quiet = "quiet", Broken = "broken";

    /// <summary>Runs until it is killed.</summary>
    [Fact(Explicit = true)]
    public void The_device_of_a_lease_that_has_ended_reaches_no_memory()
    {
        string folder = Environment.GetEnvironmentVariable(Variable)!;
        for (int round = 0; ; round++)
        {
            string free = Path.Combine(folder, $"{Free}{round}");
            WaitFor(free);
            try
            {
                Hold(File.ReadAllText(free).Trim(), step => Path.Combine(folder, $"{step}{round}"));
            }
            catch (Exception failure)
            {
                File.WriteAllText(Path.Combine(folder, $"{Broken}{round}"), failure.ToString());
                throw;
            }
        }
    }

    private static void Hold(string name, Func<string, string> pathOf)
    {
        using PciDevice edu = new(VfioDevice.Open($"lease:{name}")) { DmaAddressBits = 28 };
        using DmaBuffer buffer = edu.AllocateDma(4096);
        edu.EnableBusMaster();
        Bar bar = edu.OpenBar(0);

        // By the kernel's own descriptor, and by messages to the broker.
        Assert.Equal(name == BrokerOnLinuxTests.AlicesDirectEdu, bar.IsMapped(0));
        byte[] pattern = [.. Enumerable.Repeat((byte)0xa5, 4096)], after = new byte[4096];
        void WriteMemoryForEver()
        {
            for (bool isSaid = false; ; isSaid = true)
            {
                // QEMU's docs/specs/edu.rst: source, destination, count; then start, from the device to memory.
                buffer.Write(0, pattern);
                bar.Write64(0x80, 0x40000);
                bar.Write64(0x88, buffer.Start.Value);
                bar.Write64(0x90, 4096);
                bar.Write64(0x98, 3);
                while ((bar.Read64(0x98) & 1) != 0)
                    Thread.Sleep(1);
                buffer.Read(0, after);
                Assert.NotEqual(pattern, after);
                if (!isSaid)
                    File.WriteAllText(pathOf(Running), "");
            }
        }

        VfioException ended = Assert.Throws<VfioException>(WriteMemoryForEver);
        buffer.Write(0, pattern);
        File.WriteAllText(pathOf(Ended), ended.Message);
        WaitFor(pathOf(Taken));
        buffer.Read(0, after);
        Assert.Equal(pattern, after);
        File.WriteAllText(pathOf(Quiet), "");
    }

    private static void WaitFor(string path) => Assert.True(SpinWait.SpinUntil(
        () =>
        {
            Thread.Sleep(10);
            return File.Exists(path) && new FileInfo(path).Length > 0;
        },
        HangGuard.Timeout));
}
