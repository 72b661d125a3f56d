using System.Security.Cryptography;

namespace Vfio.Tests.Guests;

/// <summary>The NVMe driver inside Linux, as an ordinary user, on the kernel's own VFIO behind an emulated IOMMU and on QEMU's own disk: what
/// it writes is in the disk's file, and what the file holds is what it reads. And the disk is removed.</summary>
public sealed class NvmeOnLinuxTests : IDisposable
{
    private const string Disk = "0000:01:00.0";
    private const string Nobody = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups";
    private const int DiskBytes = 16 << 20;
    private const int FirstAt = 4096, SecondAt = 12 << 20, ReadAt = 8 << 20, ReadBytes = 1 << 20;

    private const UnixFileMode UserOpens = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-nvme-").FullName;

    [Fact]
    public void What_a_user_writes_in_the_guest_is_in_the_hosts_file_and_a_disk_removed_is_one_line()
    {
        GuestParts.Need();
        byte[] before = RandomNumberGenerator.GetBytes(DiskBytes);
        byte[] sent = RandomNumberGenerator.GetBytes(3 << 20);
        File.SetUnixFileMode(_folder, UserOpens);
        string image = Put("disk.img", before);
        string pattern = Put("pattern.bin", sent);
        using (GuestMachine machine = new(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-device", "pcie-root-port,id=slot1,chassis=1",
            "-drive", $"file={image},if=none,id=disk,format=raw", "-device", "nvme,id=nvme,drive=disk,serial=1,bus=slot1",
            .. GuestMachine.HostFiles]))
        {
            GuestAgent agent = machine.Agent;
            agent.Do(VfioInGuest.Command($"bind {Disk} --user nobody"));
            AssertWritesAndReads(agent, Disk, pattern, FirstAt, before);

            // The other interface, and the guard.
            agent.Do("chmod 666 /dev/iommu");
            AssertWritesAndReads(agent, $"{Disk}?guard=1", pattern, SecondAt, before);
            AssertBenchEndsAtReleaseRequest(machine);
            AssertBenchEndsAtRemoval(machine);
            Assert.Equal(0, machine.PowerOff());
        }

        sent.CopyTo(before.AsSpan(FirstAt));
        sent.CopyTo(before.AsSpan(SecondAt));
        Assert.Equal(SHA256.HashData(before), SHA256.HashData(File.ReadAllBytes(image)));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void AssertWritesAndReads(GuestAgent agent, string disk, string pattern, int at, byte[] before)
    {
        Assert.Contains("QEMU NVMe Ctrl", Vfio(agent, disk, "identify"));
        Assert.Contains($"wrote {3 << 20} bytes", Vfio(agent, disk, $"write {pattern} --offset {at} --yes"));
        Vfio(agent, disk, $"read --offset {ReadAt} --count {ReadBytes} --output /run/read.bin");
        string read = agent.Do("sha256sum /run/read.bin; rm /run/read.bin").Split(' ')[0];
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(before.AsSpan(ReadAt, ReadBytes))), read);
    }

    /// <summary>The slot's button is pressed while reads are under way: the kernel asks for the disk, and lets it go when it has it.</summary>
    private static void AssertBenchEndsAtRemoval(GuestMachine machine)
    {
        StartBench(machine);
        machine.Monitor.Execute("device_del", new { id = "nvme" });
        Assert.Equal($"vfio: {Disk} release requested", EndOfBench(machine.Agent));
        machine.Monitor.WaitForEvent("DEVICE_DELETED");
        machine.Agent.WaitFor($"test ! -e /sys/bus/pci/devices/{Disk}");
    }

    /// <summary>Its owner asks for it, while reads are under way.</summary>
    private static void AssertBenchEndsAtReleaseRequest(GuestMachine machine)
    {
        StartBench(machine);
        Assert.Contains($"{Disk} has the driver nvme", machine.Agent.Do(VfioInGuest.Command($"unbind {Disk} --wait 60")));
        Assert.Equal($"vfio: {Disk} release requested within 60 s", EndOfBench(machine.Agent));
        machine.Agent.Do(VfioInGuest.Command($"bind {Disk} --user nobody"));
    }

    private static void StartBench(GuestMachine machine)
    {
        string bench = VfioInGuest.Command($"nvme {Disk}?guard=1 bench --depth 4 --seconds 600", Nobody, "/tmp/bench");
        long before = ReadsOf(machine);
        machine.Agent.Do($"rm -f /run/bench-exit; ({bench}; echo $? > /run/bench-exit) &");
        Assert.True(SpinWait.SpinUntil(() => ReadsOf(machine) > before + 100, HangGuard.Timeout), "no reads come");
    }

    /// <summary>What it said at its end, which is one line and exit code 1.</summary>
    private static string EndOfBench(GuestAgent agent)
    {
        agent.WaitFor("test -e /run/bench-exit");
        Assert.Equal("1", agent.Do("cat /run/bench-exit"));
        return Assert.Single(agent.Do("cat /tmp/bench").Split('\n'));
    }

    private static long ReadsOf(GuestMachine machine) => machine.Monitor.Execute("query-blockstats").EnumerateArray()
        .Sum(disk => disk.GetProperty("stats").GetProperty("rd_operations").GetInt64());

    private static string Vfio(GuestAgent agent, string disk, string words) =>
        agent.Do(VfioInGuest.Command($"nvme {disk} {words}", Nobody));

    private string Put(string name, byte[] bytes)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
