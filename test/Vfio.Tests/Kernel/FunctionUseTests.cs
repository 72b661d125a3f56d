using Vfio.Kernel;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Tests.Kernel;

/// <summary>What keeps a function from being taken: its uses by this machine, in the forms of Linux' sysfs and procfs.</summary>
public sealed class FunctionUseTests : IDisposable
{
    private const string Function = "0000:01:00.0";
    private readonly FakeMachine _machine = new();

    public FunctionUseTests()
    {
        _machine.AddFunction(Function, "driver", group: 1);
        _machine.Write("proc/self/mountinfo", "");
    }

    private string[] Uses => [.. _machine.DeviceBinder.Plan(FakeMachine.Address(Function)).Members[0].Uses];

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void A_mounted_btrfs_whose_number_is_that_of_no_disk_is_found_by_its_source()
    {
        _machine.Write("proc/self/mountinfo", "36 1 0:31 / /data rw - btrfs /dev/sda1 rw\n");
        _machine.AddMember("block", Function, "ata1/host0/target0:0:0/0:0:0:0/block/sda", "8:0");
        _machine.AddMember("block", Function, "ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1", "8:1");
        Assert.Equal(["sda1 is mounted at /data"], Uses);
    }

    [Theory]
    [InlineData("ata1/host0/target0:0:0/0:0:0:0/block/sdb")]
    [InlineData("nvme/nvme0/nvme0n1")]
    [InlineData("virtio3/block/vda")]
    [InlineData("usb1/1-1/1-1:1.0/host4/target4:0:0/4:0:0:0/block/sdc")]
    [InlineData("pci10000:e0/10000:e0:06.0/nvme/nvme1/nvme1n1")]
    public void A_disk_that_only_the_kernel_knows_to_be_in_use_is_in_use(string below)
    {
        _machine.AddMember("block", Function, below, "8:16");
        Assert.Empty(Uses);
        _machine.ExclusivelyUsed.Add("8:16");
        Assert.StartsWith($"{Path.GetFileName(below)} is in use", Assert.Single(Uses));
    }

    [Fact]
    public void A_partition_that_only_the_kernel_knows_to_be_in_use_is_said_once()
    {
        _machine.AddMember("block", Function, "nvme/nvme0/nvme0n1", "259:0");
        _machine.AddMember("block", Function, "nvme/nvme0/nvme0n1/nvme0n1p2", "259:2");
        _machine.AddMember("block", Function, "nvme/nvme0/nvme0n10", "259:3");
        _machine.ExclusivelyUsed.UnionWith(["259:0", "259:2", "259:3"]);
        Assert.Equal(["nvme0n10", "nvme0n1p2"], Uses.Select(use => use.Split(' ')[0]));
    }

    [Fact]
    public void A_multipath_disk_of_which_the_controller_has_a_hidden_path_is_in_use()
    {
        // As nvme-core names them: instance of the subsystem, of the controller, of the namespace.
        Directory.CreateDirectory(_machine.PathOf($"sys/bus/pci/devices/{Function}/nvme/nvme1/nvme0c1n2"));
        string head = "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n2";
        _machine.Write($"{head}/dev", "259:7\n");
        _machine.Write($"{head}/nvme0n2p1/dev", "259:8\n");
        _machine.Link("sys/class/block/nvme0n2", head);
        _machine.Link("sys/class/block/nvme0n2p1", $"{head}/nvme0n2p1");
        _machine.AddNode("nvme0n2", FileKind.BlockDevice, "259:7");
        _machine.AddNode("nvme0n2p1", FileKind.BlockDevice, "259:8");
        Assert.Empty(Uses);
        _machine.Write("proc/self/mountinfo", "36 1 259:8 / /data rw - ext4 /dev/nvme0n2p1 rw\n");
        Assert.Equal(["nvme0n2p1 is mounted at /data"], Uses);
        _machine.Write("proc/self/mountinfo", "");
        _machine.ExclusivelyUsed.Add("259:7");
        Assert.StartsWith("nvme0n2 is in use", Assert.Single(Uses));
    }

    [Fact]
    public void A_disk_whose_node_is_another_device_may_be_in_use()
    {
        _machine.AddMember("block", Function, "nvme/nvme0/nvme0n1", "259:0");
        _machine.AddNode("nvme0n1", FileKind.BlockDevice, "7:0");
        Assert.StartsWith("nvme0n1 may be in use", Assert.Single(Uses));
    }

    [Fact]
    public void A_disk_is_found_by_the_name_that_the_kernel_gave_its_node()
    {
        string folder = _machine.AddMember("block", Function, "cciss0/block/cciss!c0d0", "104:0");
        _machine.Write($"{folder}/uevent", "MAJOR=104\nMINOR=0\nDEVNAME=cciss/c0d0\n");
        _machine.AddNode("cciss/c0d0", FileKind.BlockDevice, "104:0");
        Assert.Empty(Uses);
    }

    [Fact]
    public void A_source_that_an_ordinary_user_chose_is_not_believed()
    {
        _machine.Write("proc/self/mountinfo", "36 1 0:50 / /home/alice/mnt rw - fuse.evil /dev/nvme0n1 rw\n");
        _machine.AddMember("block", Function, "nvme/nvme0/nvme0n1", "259:0");
        Assert.Empty(Uses);
    }

    [Fact]
    public void A_mount_point_cannot_write_to_a_terminal()
    {
        _machine.Write("proc/self/mountinfo", "36 1 259:0 / /media/\e[31mred rw - vfat /dev/nvme0n1 rw\n");
        _machine.AddMember("block", Function, "nvme/nvme0/nvme0n1", "259:0");
        Assert.Equal([@"nvme0n1 is mounted at /media/\x1b[31mred"], Uses);
    }

    [Theory]
    [InlineData("9p", "virtio2/mount_tag")]
    [InlineData("virtiofs", null)]
    public void A_file_system_without_a_disk_is_a_use(string type, string? attribute)
    {
        _machine.Write("proc/self/mountinfo", $"36 1 0:22 / /host rw - {type} host rw\n");
        Assert.Empty(Uses);
        if (attribute is not null)
        {
            _machine.Write($"sys/bus/pci/devices/{Function}/{attribute}", "host\0");
        }
        else
        {
            _machine.Write("sys/fs/virtiofs/0/tag", "host\n");
            _machine.Link("sys/fs/virtiofs/0/device", $"sys/bus/pci/devices/{Function}/virtio2");
        }

        Assert.Equal(["host is mounted at /host"], Uses);
    }

    [Fact]
    public void An_interface_that_was_moved_to_another_namespace_leaves_its_folder_and_is_a_use()
    {
        Directory.CreateDirectory(_machine.PathOf($"sys/bus/pci/devices/{Function}/virtio1/net"));
        Assert.Equal(["it has an interface in another network namespace"], Uses);
    }

    [Theory]
    [InlineData("master", "bond0")]
    [InlineData("upper_br0", "br0")]
    [InlineData("upper_eth0.100", "eth0.100")]
    public void An_interface_below_another_is_a_use_although_it_is_down(string link, string upper)
    {
        string folder = _machine.AddMember("net", Function, "net/eth0");
        _machine.Write($"{folder}/flags", "0x1002\n");
        Assert.Empty(Uses);
        _machine.Link($"{folder}/{link}", $"sys/devices/virtual/net/{upper}");
        Assert.Equal([$"the interface eth0 is part of {upper}"], Uses);
    }

    [Theory]
    [InlineData("drm", "drm/card0")]
    [InlineData("sound", "sound/card0/controlC0")]
    [InlineData("tty", "tty/ttyS4")]
    [InlineData("input", "usb1/1-1/1-1:1.0/input/input5/event5")]
    [InlineData("uio", "uio/uio0")]
    [InlineData("nvme-generic", "nvme/nvme0/ng0n1")]
    [InlineData("block", "nvme/nvme0/nvme0n1")]
    public void A_device_file_that_a_program_has_open_is_a_use_and_names_it(string kind, string below)
    {
        _machine.AddMember(kind, Function, below, "226:3");
        string name = Path.GetFileName(below);
        Assert.Empty(Uses);

        // Whatever else the node is called.
        _machine.AddNode("another-name", kind == "block" ? FileKind.BlockDevice : FileKind.CharacterDevice, "226:3");
        _machine.AddProcess(4711, "Xorg", "another-name");
        Assert.Equal([$"{name} is open in Xorg (4711) of root"], Uses);
    }

    [Fact]
    public void A_device_file_of_the_same_number_and_another_kind_is_none()
    {
        _machine.AddMember("drm", Function, "drm/card0", "226:3");
        _machine.AddNode("disk", FileKind.BlockDevice, "226:3");
        _machine.AddProcess(4711, "cat", "disk");
        Assert.Empty(Uses);
    }

    [Fact]
    public void The_name_of_a_process_cannot_write_to_a_terminal()
    {
        _machine.AddMember("drm", Function, "drm/card0", "226:0");
        _machine.AddProcess(4711, "\e]0;x\a\u009b1m\u202ey\n", "card0");
        Assert.Equal([@"card0 is open in \x1b]0;x\x07\x9b1m\u202ey (4711) of root"], Uses);
    }

    [Fact]
    public void A_serial_line_that_is_the_kernels_console_is_a_use()
    {
        _machine.Write("proc/consoles", "ttyS4                -W- (EC   a)    4:68\ntty0                 -WU (E  p  )    4:1\n");
        _machine.AddMember("tty", Function, "tty/ttyS4", "4:68");
        _machine.AddMember("tty", Function, "tty/ttyS5", "4:69");
        Assert.Equal(["ttyS4 is a console of the kernel"], Uses);
    }

    [Theory]
    [InlineData("(M) frame buffer device", "fb0", false, true)]
    [InlineData("(M) frame buffer device", "fb1", false, false)]
    [InlineData("(S) VGA+", null, true, true)]
    [InlineData("(S) VGA+", null, false, false)]
    [InlineData("(S) dummy device", "fb0", true, false)]
    public void A_display_that_the_console_is_shown_on_is_in_use(string console, string? framebuffer, bool isBootDisplay, bool isUse)
    {
        _machine.Write("sys/class/vtconsole/vtcon1/name", console + "\n");
        _machine.Write("sys/class/vtconsole/vtcon1/bind", "1\n");
        _machine.Write($"sys/bus/pci/devices/{Function}/boot_vga", isBootDisplay ? "1\n" : "0\n");
        if (framebuffer is not null)
        {
            _machine.Link("sys/class/graphics/fb0", "sys/devices/other/graphics/fb0");
            if (framebuffer == "fb0")
                Directory.Delete(_machine.PathOf("sys/class/graphics/fb0"));
            _machine.AddMember("graphics", Function, $"graphics/{framebuffer}");
        }

        Assert.Equal(isUse, Uses.Any(use => use.StartsWith("the console is shown on it", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_keyboard_of_the_console_is_a_use_of_its_USB_controller()
    {
        _machine.Write("sys/class/vtconsole/vtcon0/name", "(S) VGA+\n");
        _machine.Write("sys/class/vtconsole/vtcon0/bind", "1\n");
        string folder = _machine.AddMember("input", Function, "usb1/1-1/1-1:1.0/input/input5");
        string text = $"N: Name=\"A \e Keyboard\"\nS: Sysfs={folder["sys".Length..]}\nH: Handlers=sysrq kbd event5 leds \nB: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n\n";
        _machine.Write("proc/bus/input/devices", text);
        Assert.Equal([@"the console's keyboard is A \x1b Keyboard"], Uses);

        // A mouse and a power button have the handler too.
        _machine.Write("proc/bus/input/devices", text.Replace("fffffffffffffffe", "0", StringComparison.Ordinal));
        Assert.Empty(Uses);
    }

    [Fact]
    public void A_function_that_has_mediated_devices_is_in_use()
    {
        Directory.CreateDirectory(_machine.PathOf($"sys/bus/pci/devices/{Function}/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"));
        Assert.Equal(["it has the mediated device 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"], Uses);
    }
}
