using Vfio.Kernel;
using Vfio.Kernel.Topology;
using Vfio.Pci;

namespace Vfio.Tests.Kernel;

/// <summary>A sysfs tree made here, in the form of the kernel's Documentation/ABI/testing/sysfs-bus-pci.</summary>
public sealed class PciTopologyTests : IDisposable
{
    private readonly string _sysfs = Directory.CreateTempSubdirectory("vfio-sysfs-").FullName;

    public void Dispose() => Directory.Delete(_sysfs, recursive: true);

    [Fact]
    public void Functions_come_by_address()
    {
        AddFunction("0000:0a:00.0");
        AddFunction("0000:02:00.1");
        AddFunction("0001:00:00.0");
        Assert.Equal(
            ["0000:02:00.1", "0000:0a:00.0", "0001:00:00.0"],
            new PciTopology(_sysfs).Functions.Select(function => function.Address.ToString()));
    }

    [Fact]
    public void A_machine_without_PCI_has_no_functions() => Assert.Empty(new PciTopology(_sysfs).Functions);

    [Fact]
    public void Regions_are_read_from_resource_lines()
    {
        string folder = AddFunction("0000:02:00.0");
        File.WriteAllLines(
            Path.Combine(folder, "resource"),
            [
                "0x00000000febc0000 0x00000000febdffff 0x0000000000040200",
                "0x000000000000c000 0x000000000000c01f 0x0000000000040101",
                .. Enumerable.Repeat("0x0000000000000000 0x0000000000000000 0x0000000000000000", 11),
            ]);
        IReadOnlyList<KernelRegion> regions = Find("0000:02:00.0").Regions;
        Assert.Equal(7, regions.Count);
        Assert.Equal((0xfebc0000UL, 0x20000UL, true), (regions[0].Start, regions[0].Length, regions[0].IsMemory));
        Assert.Equal((0xc000UL, 32UL, true), (regions[1].Start, regions[1].Length, regions[1].IsIo));
        Assert.Equal(0UL, regions[6].Length);
    }

    [Fact]
    public void Driver_and_group_are_the_names_of_links()
    {
        string folder = AddFunction("0000:02:00.0");
        AddFunction("0000:02:00.1");
        string group = Path.Combine(_sysfs, "kernel/iommu_groups/7");
        Directory.CreateDirectory(Path.Combine(group, "devices/0000:02:00.0"));
        Directory.CreateDirectory(Path.Combine(group, "devices/0000:02:00.1"));
        Directory.CreateDirectory(Path.Combine(_sysfs, "bus/pci/drivers/e1000e"));
        Directory.CreateSymbolicLink(Path.Combine(folder, "driver"), "../../../../bus/pci/drivers/e1000e");
        Directory.CreateSymbolicLink(Path.Combine(folder, "iommu_group"), group);
        KernelFunction function = Find("0000:02:00.0");
        Assert.Equal("e1000e", function.Driver);
        Assert.Equal("7", function.IommuGroup);
        Assert.Equal(["0000:02:00.0", "0000:02:00.1"], function.GroupMembers.Select(member => member.ToString()));
    }

    [Fact]
    public void What_sysfs_does_not_show_is_absent()
    {
        AddFunction("0000:02:00.0");
        KernelFunction function = Find("0000:02:00.0");
        Assert.Null(function.Driver);
        Assert.Null(function.IommuGroup);
        Assert.Null(function.NumaNode);
        Assert.Empty(function.ResetMethods);
        Assert.Equal(["0000:02:00.0"], function.GroupMembers.Select(member => member.ToString()));
    }

    [Fact]
    public void A_function_that_is_not_there_is_ENODEV()
    {
        VfioException refusal = Assert.Throws<VfioException>(() => Find("0000:02:00.0"));
        Assert.Equal(19, (int)refusal.Errno);
        Assert.Contains("0000:02:00.0", refusal.Message);
    }

    [Fact]
    public void A_function_that_goes_away_is_ENODEV()
    {
        string folder = AddFunction("0000:02:00.0");
        KernelFunction function = Find("0000:02:00.0");
        Directory.Delete(folder, recursive: true);
        Assert.Equal(19, (int)Assert.Throws<VfioException>(() => function.ReadConfig()).Errno);
    }

    private KernelFunction Find(string address)
    {
        Assert.True(PciAddress.TryParse(address, out PciAddress parsed));
        return new PciTopology(_sysfs).Find(parsed);
    }

    private string AddFunction(string address)
    {
        string folder = Path.Combine(_sysfs, "bus/pci/devices", address);
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "config"), new byte[256]);
        return folder;
    }
}
