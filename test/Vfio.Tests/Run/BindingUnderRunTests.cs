using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;
using Vfio.Guard;
using Vfio.Run;

namespace Vfio.Tests.Run;

/// <summary>What programs write to sysfs under <see cref="VfioRun"/>, and what is there afterwards: Documentation/ABI/testing/sysfs-bus-pci of the
/// kernel. There are an edu in group 1; a disk, another edu and a network port in group 2.</summary>
public sealed class BindingUnderRunTests
{
    [Fact]
    public async Task A_function_that_is_unbound_has_no_files_until_it_is_probed_for_the_driver_of_its_override() => Assert.Equal(
        """
        1 2 devices vfio
        2 devices vfio
        vfio1 vfio2 vfio3
        no driver
        0000:02:00.0 0000:03:00.0 0000:04:00.0
        cannot create /dev/vfio/1: Directory nonexistent
        vfio-pci
        no driver
        1 2 devices vfio
        vfio-pci
        DRIVER=vfio-pci

        """,
        await RunAsync(
            """
            b=/sys/bus/pci; f=$b/devices/0000:01:00.0
            driver() { test -e $f/driver && basename $(readlink $f/driver) || echo no driver; }
            echo $(ls /dev/vfio)
            echo 0000:01:00.0 > $f/driver/unbind
            echo $(ls /dev/vfio); echo $(ls /dev/vfio/devices); driver
            echo $(ls $b/drivers/vfio-pci | grep 0000)
            (: > /dev/vfio/1) 2>&1 | sed 's/.*: cannot/cannot/'
            cat $f/driver_override
            echo nvme > $f/driver_override; echo 0000:01:00.0 > $b/drivers_probe; driver
            printf vfio-pci > $f/driver_override; printf 0000:01:00.0 > $b/drivers_probe; echo $(ls /dev/vfio); driver
            grep DRIVER $f/uevent
            """));

    [Fact]
    public async Task A_group_keeps_its_file_while_one_of_its_functions_is_bound() => Assert.Equal(
        "1 2 devices vfio\n1 2 devices vfio\n1 devices vfio\n1 2 devices vfio\n",
        await RunAsync(
            """
            d=/sys/bus/pci/drivers/vfio-pci
            echo 0000:02:00.0 > $d/unbind; echo $(ls /dev/vfio)
            echo 0000:03:00.0 > $d/unbind; echo $(ls /dev/vfio)
            echo 0000:04:00.0 > $d/unbind; echo $(ls /dev/vfio)
            echo 0000:03:00.0 > $d/bind; echo $(ls /dev/vfio)
            """));

    [Fact]
    public async Task New_ids_are_the_drivers_until_they_are_removed() => Assert.Equal(
        "(null)\n1 3 4\n1 2 3 4\n2 3 4\n",
        await RunAsync(
            """
            b=/sys/bus/pci; bound() { echo $(ls $b/drivers/vfio-pci | grep 0000 | cut -c7); }
            for f in 0000:01:00.0 0000:02:00.0; do echo > $b/devices/$f/driver_override; echo $f > $b/drivers/vfio-pci/unbind; done
            cat $b/devices/0000:01:00.0/driver_override
            echo 1234 11e8 > $b/drivers/vfio-pci/new_id; bound
            echo 5646 4e56 ffffffff ffffffff 010802 ffffff > $b/drivers/vfio-pci/new_id; bound
            echo 0000:01:00.0 > $b/drivers/vfio-pci/unbind; echo 1234 11e8 > $b/drivers/vfio-pci/remove_id; echo 0000:01:00.0 > $b/drivers_probe; bound
            """));

    [Fact]
    public async Task Config_space_is_shown_as_it_is_and_what_is_written_there_reaches_the_function()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/setpci"), "setpci is not installed (Debian: pciutils)");

        // PCI Local Bus 3.0, 6.2.2: bit 1 of Command is memory, bit 2 bus mastering. Without it the device's next access is refused.
        using ProgramOutput output = new();
        RunProgram program = new(TestPrograms.Find("vfio-leaks"), "shell", "setpci -s 1:0.0 COMMAND VENDOR_ID; setpci -s 1:0.0 COMMAND=2; setpci -s 1:0.0 COMMAND; od -An -tx2 -j4 -N2 /sys/bus/pci/devices/0000:01:00.0/config")
        {
            StandardOutput = output.File,
        };
        using GuardedFunction edu = new(new EduFunction());
        using VfioRun run = VfioRun.Start(program, [new RunDevice(edu.Open)]);
        Assert.Equal(0, await run.Exit.WaitAsync(HangGuard.Timeout));
        await run.Completion.WaitAsync(HangGuard.Timeout);
        Assert.Equal("0006\n1234\n0002\n 0002\n", output.Text);
        Assert.Equal("read 64 bytes at 0x100000, without bus mastering", Assert.Single(run.Findings).Message);
    }

    [Fact]
    public async Task A_write_to_reset_resets_an_open_function()
    {
        // The register at 4 of edu, which is 0xffffffff after a reset, as it shows the inverse of what was written.
        const string Script = "echo 1 > /sys/bus/pci/devices/0000:01:00.0/reset";
        using GuardedFunction edu = new(new EduFunction());
        using StringWriter log = new();
        using VfioRun run = VfioRun.Start(new RunProgram(TestPrograms.Find("vfio-leaks"), "shell", Script), [new RunDevice(edu.Open)], new VfioRunOptions { Log = log });
        Assert.Equal(0, await run.Exit.WaitAsync(HangGuard.Timeout));
        await run.Completion.WaitAsync(HangGuard.Timeout);
        Assert.Single(log.ToString().Split('\n'), line => line.EndsWith(" reset 0000:01:00.0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Driverctl_lists_and_overrides()
    {
        Assert.SkipUnless(File.Exists("/usr/sbin/driverctl"), "driverctl is not installed");
        string output = await RunAsync(
            """
            PATH=$PATH:/usr/sbin
            driverctl list-devices
            driverctl --nosave unset-override 0000:01:00.0 2>/dev/null
            driverctl list-devices
            driverctl --nosave set-override 0000:01:00.0 vfio-pci
            driverctl list-overrides
            """);
        string[] bound = ["0000:01:00.0 vfio-pci", "0000:02:00.0 vfio-pci", "0000:03:00.0 vfio-pci", "0000:04:00.0 vfio-pci"];
        Assert.Equal(
            [.. bound.Select(line => line + " [*]"), "0000:01:00.0 (none)", .. bound.Skip(1).Select(line => line + " [*]"), .. bound], output.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task Dpdk_devbind_lists_unbinds_and_binds_a_network_port()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/dpdk-devbind.py"), "dpdk-devbind.py is not installed (Debian: dpdk)");
        string output = await RunAsync(
            """
            status() { dpdk-devbind.py -s 2>/dev/null | grep ^0000:04:00.0; }
            status; dpdk-devbind.py -u 0000:04:00.0 2>/dev/null; status; dpdk-devbind.py -b vfio-pci 0000:04:00.0 2>/dev/null; status
            """);
        string[] lines = output.TrimEnd().Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.Contains("drv=vfio-pci", lines[0]);
        Assert.DoesNotContain("drv=", lines[1]);
        Assert.Contains("drv=vfio-pci", lines[2]);
    }

    private static async Task<string> RunAsync(string script)
    {
        using GuardedFunction first = new(new EduFunction()), second = new(NvmeFunction.InMemory(1 << 20)), third = new(new EduFunction()), port = new(new PortFunction());
        using ProgramOutput output = new();
        RunProgram program = new("sh", "-c", script)
        {
            StandardOutput = output.File,
            StandardError = output.File,
            Environment = new Dictionary<string, string?> { ["LC_ALL"] = "C" },
        };
        RunDevice[] devices = [new(first.Open), new(second.Open) { Group = 2 }, new(third.Open) { Group = 2 }, new(port.Open) { Group = 2 }];
        using VfioRun run = VfioRun.Start(program, devices, new VfioRunOptions { AllowMapping = false });
        await run.Exit.WaitAsync(HangGuard.Timeout);
        return output.Text;
    }

    // PCI Code and ID Assignment Specification: class 02, subclass 00 is an Ethernet controller.
    private sealed class PortFunction() : EmulatedFunction(new FunctionDescription("port", 0x8086, 0x10c9) { ClassCode = 0x020000 });
}
