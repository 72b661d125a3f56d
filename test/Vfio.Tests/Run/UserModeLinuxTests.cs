using Vfio.Devices.Igb;
using Vfio.Devices.Nvme;
using Vfio.Guard;
using Vfio.Run;
using Vfio.Tests.Guests;
using IgbPort = Vfio.Drivers.Igb.IgbPort;

namespace Vfio.Tests.Run;

/// <summary>Linux as a process (user-mode Linux): a program that finds functions through VFIO, with Linux's own drivers in it. It boots for
/// each test, in a second or two.</summary>
public sealed class UserModeLinuxTests
{
    private const long DiskBytes = 32 << 20;

    [Fact]
    public async Task Its_own_nvme_driver_keeps_a_file_system_across_boots()
    {
        using GuardedFunction disk = new(NvmeFunction.InMemory(DiskBytes));
        string made = await BootAsync(
            "mke2fs -q /dev/nvme0n1 >/dev/null; mount -t ext2 /dev/nvme0n1 /mnt; dd if=/dev/urandom of=/mnt/file bs=64k count=32 2>/dev/null; sha256sum /mnt/file; umount /mnt",
            disk.Open);
        string kept = await BootAsync("mount -t ext2 -o ro /dev/nvme0n1 /mnt; sha256sum /mnt/file; blockdev --getsize64 /dev/nvme0n1", disk.Open);
        string[] lines = kept.Split('\n');
        Assert.Matches("^[0-9a-f]{64}  /mnt/file$", lines[0]);
        Assert.Equal(made, lines[0]);
        Assert.Equal($"{DiskBytes}", lines[1]);
    }

    [Fact]
    public async Task It_finds_each_function_with_its_ids_and_its_BAR()
    {
        // It takes functions with MSI-X only. NVM Express 1.4, 3.1: the model's BAR0 has 16 KiB.
        using GuardedFunction first = new(NvmeFunction.InMemory(DiskBytes)), second = new(NvmeFunction.InMemory(DiskBytes));
        string found = await BootAsync(
            "cd /sys/bus/pci/devices; for f in *; do read start end flags < $f/resource; echo $(cat $f/vendor $f/device $f/class) $((end - start + 1)); done",
            first.Open, second.Open);
        Assert.Equal(["0x5646 0x4e56 0x010802 16384", "0x5646 0x4e56 0x010802 16384"], found.Split('\n'));
    }

    [Fact]
    public async Task Two_of_them_ping_each_other_by_their_own_igb_driver_and_our_ports()
    {
        string hub = $"hub:{Guid.NewGuid():n}";
        using GuardedFunction near = Port(hub), far = Port(hub);
        const string Up = "ip link set eth0 up; ip addr add";
        using ProgramOutput unused = new();
        using VfioRun other = Start($"{Up} 10.0.0.2/24 dev eth0; sleep 1000", unused, far.Open);
        string pinged = await BootAsync(
            $"{Up} 10.0.0.1/24 dev eth0; until ping -q -c 1 -W 1 10.0.0.2 >/dev/null; do :; done; ping -q -c 3 -s 1400 -i 0.1 10.0.0.2 | grep received; "
                + "basename $(readlink /sys/class/net/eth0/device/driver)",
            near.Open);
        Assert.Equal("3 packets transmitted, 3 packets received, 0% packet loss\nigb", pinged);
    }

    [Fact]
    public async Task Two_of_them_ping_each_other_by_their_own_igbvf_driver_through_the_switch_of_one_port()
    {
        using GuardedFunction port = new(IgbFunction.Create(virtualFunctions: 2));
        using IgbPort physical = new(port.Open());
        using CancellationTokenSource stop = new();
        Task serving = Task.Factory.StartNew(() => Serve(physical, stop.Token), TaskCreationOptions.LongRunning);
        string given;
        using (IgbPort first = new(port.VirtualFunctions[0].Open()))
            given = first.Address.ToString();
        const string Up = "ip link set eth0 up; ip addr add";
        using ProgramOutput unused = new();
        using (VfioRun other = Start($"{Up} 10.0.0.2/24 dev eth0; sleep 1000", unused, port.VirtualFunctions[1].Open))
        {
            string pinged = await BootAsync(
                $"{Up} 10.0.0.1/24 dev eth0; until ping -q -c 1 -W 1 10.0.0.2 >/dev/null; do :; done; ping -q -c 3 -s 1400 -i 0.1 10.0.0.2 | grep received; "
                    + "basename $(readlink /sys/class/net/eth0/device/driver); cat /sys/class/net/eth0/address",
                port.VirtualFunctions[0].Open);
            Assert.Equal($"3 packets transmitted, 3 packets received, 0% packet loss\nigbvf\n{given}", pinged);
        }

        await stop.CancelAsync();
        await serving.WaitAsync(HangGuard.Timeout);
    }

    private static void Serve(IgbPort physical, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            if (physical.ServeVirtualFunctions() == 0)
                Thread.Sleep(1);
        }
    }

    private static GuardedFunction Port(string network) => new(IgbFunction.Create(network));

    /// <summary>Boots it, has it run a script, and gives the script's output.</summary>
    private static async Task<string> BootAsync(string script, params Func<IVfioDevice>[] devices)
    {
        using ProgramOutput output = new();
        using VfioRun run = Start(script, output, devices);
        await run.Exit.WaitAsync(HangGuard.Timeout);
        string text = output.Text.ReplaceLineEndings("\n");
        int end = text.IndexOf("= 0\n", StringComparison.Ordinal);
        Assert.True(end >= 0, text);
        return text[..end].TrimEnd('\n');
    }

    private static VfioRun Start(string script, ProgramOutput output, params Func<IVfioDevice>[] devices)
    {
        (string kernel, string initramfs) = GuestParts.NeedUserModeLinux();
        RunProgram program = new(kernel,
        [
            "mem=256M", $"initrd={initramfs}", "rdinit=/init", "quiet", "loglevel=1", "con=null", "con0=null,fd:1", $"script=\"{script}\"",
            .. Enumerable.Range(1, devices.Length).Select(bus => $"vfio_uml.device=0000:{bus:x2}:00.0"),
        ])
        {
            StandardOutput = output.File,
            StandardError = output.File,
        };

        // It traces its own processes, and reads and writes registers with pread and pwrite.
        return VfioRun.Start(program, [.. devices.Select(open => new RunDevice(open))], new VfioRunOptions { AllowMapping = false });
    }
}
