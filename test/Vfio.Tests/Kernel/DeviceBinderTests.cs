using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Topology;
using Vfio.Pci;

namespace Vfio.Tests.Kernel;

/// <summary>Plans of assigning functions, from a sysfs and a procfs made here.</summary>
public sealed class DeviceBinderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("vfio-provider-").FullName;
    private readonly KernelPaths _paths;

    public DeviceBinderTests()
    {
        _paths = new KernelPaths
        {
            Sysfs = PathOf("sys"),
            Proc = PathOf("proc"),
            Dev = PathOf("dev"),
            Records = PathOf("run/vfio"),
            Overrides = PathOf("etc/driverctl.d"),
        };
        Write("proc/self/mountinfo", "30 1 259:2 / /home rw,relatime - ext4 /dev/nvme0n1p2 rw\n");
        Write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/nvme0n1p3 partition 1 0 -2\n");
        Write("proc/net/route", "Iface\tDestination\nens1\t00000000\n");
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void The_whole_group_is_named_and_bridges_stay()
    {
        AddFunction("0000:00:01.0", "pcieport", group: 1, classCode: 0x060400);
        AddFunction("0000:01:00.0", "snd_hda_intel", group: 1);
        AddFunction("0000:01:00.1", "vfio-pci", group: 1);
        BindPlan plan = new DeviceBinder(_paths).Plan(Address("0000:01:00.0"));
        Assert.Equal("1", plan.Group);
        Assert.True(plan.IsPossible);
        Assert.Equal([BindAction.Keep, BindAction.Bind, BindAction.None], plan.Members.Select(member => member.Action));
    }

    [Fact]
    public void A_mounted_disk_and_swap_are_uses()
    {
        AddFunction("0000:01:00.0", "nvme", group: 1);
        AddClassMember("block", "0000:01:00.0", "nvme/nvme0/nvme0n1/nvme0n1p2", ("dev", "259:2\n"));
        AddClassMember("block", "0000:01:00.0", "nvme/nvme0/nvme0n1/nvme0n1p3", ("dev", "259:3\n"));
        BindPlan plan = new DeviceBinder(_paths).Plan(Address("0000:01:00.0"));
        Assert.False(plan.IsPossible);
        Assert.Equal(["nvme0n1p2 is mounted at /home", "nvme0n1p3 is swap"], plan.Members[0].Uses);
    }

    [Fact]
    public void An_interface_that_is_up_or_has_a_route_is_a_use()
    {
        AddFunction("0000:01:00.0", "igb", group: 1);
        AddClassMember("net", "0000:01:00.0", "net/ens1", ("flags", "0x1003\n"));
        AddClassMember("net", "0000:01:00.0", "net/ens2", ("flags", "0x1002\n"));
        Assert.Equal(["the interface ens1 is up", "a route goes through ens1"], new DeviceBinder(_paths).Plan(Address("0000:01:00.0")).Members[0].Uses);
    }

    [Fact]
    public void A_function_in_use_is_refused_and_nothing_is_written()
    {
        AddFunction("0000:01:00.0", "igb", group: 1);
        AddClassMember("net", "0000:01:00.0", "net/ens1", ("flags", "0x1003\n"));
        VfioException refusal = Assert.Throws<VfioException>(() => new DeviceBinder(_paths).Bind(Address("0000:01:00.0")));
        Assert.Equal(16, (int)refusal.Errno);
        Assert.Contains("ens1 is up", refusal.Message);
        Assert.False(Directory.Exists(_paths.Records));
        Assert.Equal("(null)\n", File.ReadAllText(PathOf("sys/bus/pci/devices/0000:01:00.0/driver_override")));
    }

    [Fact]
    public void A_driver_that_does_not_come_is_undone()
    {
        // This sysfs does not obey: nothing is bound by a write to drivers_probe.
        string folder = AddFunction("0000:01:00.0", null, group: 1);
        Directory.CreateDirectory(PathOf("sys/bus/pci/drivers/vfio-pci"));
        VfioException refusal = Assert.Throws<VfioException>(() => new DeviceBinder(_paths).Bind(Address("0000:01:00.0")));
        Assert.Equal(19, (int)refusal.Errno);
        Assert.Equal('\n', File.ReadAllText(Path.Combine(folder, "driver_override"))[0]);
        Assert.Empty(Directory.GetFiles(_paths.Records));
    }

    [Fact]
    public void Unbinding_what_is_open_names_who_has_it_open()
    {
        AddFunction("0000:01:00.0", "vfio-pci", group: 5);
        Write("dev/vfio/5", "");
        Write("proc/4711/comm", "postmaster\n");
        Directory.CreateDirectory(PathOf("proc/4711/fd"));
        File.CreateSymbolicLink(PathOf("proc/4711/fd/9"), PathOf("dev/vfio/5"));
        VfioException refusal = Assert.Throws<VfioException>(() => new DeviceBinder(_paths).Unbind(Address("0000:01:00.0")));
        Assert.Equal(16, (int)refusal.Errno);
        Assert.Contains("postmaster (4711)", refusal.Message);
    }

    [Fact]
    public void Unbinding_what_is_not_assigned_is_ENODEV()
    {
        AddFunction("0000:01:00.0", "igb", group: 1);
        Assert.Equal(19, (int)Assert.Throws<VfioException>(() => new DeviceBinder(_paths).Unbind(Address("0000:01:00.0"))).Errno);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(9)]
    public void More_virtual_functions_than_there_can_be_are_EINVAL(int count)
    {
        File.WriteAllText(Path.Combine(AddFunction("0000:01:00.0", "igb", group: 1), "sriov_totalvfs"), "8\n");
        VfioException refusal = Assert.Throws<VfioException>(() => new DeviceBinder(_paths).SetVirtualFunctions(Address("0000:01:00.0"), count));
        Assert.Equal(22, (int)refusal.Errno);
        Assert.Contains("0 to 8", refusal.Message);
    }

    private static PciAddress Address(string text)
    {
        Assert.True(PciAddress.TryParse(text, out PciAddress address));
        return address;
    }

    private string PathOf(string relative) => Path.Combine(_root, relative);

    private void Write(string relative, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(relative))!);
        File.WriteAllText(PathOf(relative), text);
    }

    private string AddFunction(string address, string? driver, int group, uint classCode = 0x020000)
    {
        string folder = PathOf($"sys/bus/pci/devices/{address}");
        Directory.CreateDirectory(folder);
        Write($"sys/bus/pci/devices/{address}/class", $"0x{classCode:x6}\n");
        Write($"sys/bus/pci/devices/{address}/driver_override", "(null)\n");
        Write("sys/bus/pci/drivers_probe", "");
        Directory.CreateDirectory(PathOf($"sys/kernel/iommu_groups/{group}/devices/{address}"));
        Directory.CreateSymbolicLink(Path.Combine(folder, "iommu_group"), PathOf($"sys/kernel/iommu_groups/{group}"));
        if (driver is not null)
        {
            Directory.CreateDirectory(PathOf($"sys/bus/pci/drivers/{driver}"));
            Directory.CreateSymbolicLink(Path.Combine(folder, "driver"), PathOf($"sys/bus/pci/drivers/{driver}"));
        }

        return folder;
    }

    private void AddClassMember(string kind, string address, string below, (string Name, string Text) attribute)
    {
        string folder = $"sys/bus/pci/devices/{address}/{below}";
        Write($"{folder}/{attribute.Name}", attribute.Text);
        Directory.CreateDirectory(PathOf($"sys/class/{kind}"));
        Directory.CreateSymbolicLink(PathOf($"sys/class/{kind}/{Path.GetFileName(below)}"), PathOf(folder));
    }
}
