using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Tests.Kernel;

/// <summary>Whether functions of a sysfs made here can be assigned, and why not.</summary>
public sealed class AssignabilityCheckTests : IDisposable
{
    private const string First = "0000:01:00.0", Second = "0000:01:00.1";
    private readonly FakeSysfs _sysfs = new();

    public void Dispose() => _sysfs.Dispose();

    [Fact]
    public void Without_a_group_it_is_not_viable()
    {
        _sysfs.Add(First);
        Assert.Equal(Answer.No, Find(First).GroupViability.Answer);
    }

    [Fact]
    public void A_group_without_an_IOMMU_is_not_viable()
    {
        _sysfs.Add(First, "vfio-pci", group: 4);
        File.WriteAllText(Path.Combine(_sysfs.Root, "kernel/iommu_groups/4/name"), "vfio-noiommu\n");
        Assert.Equal(Answer.No, Find(First).GroupViability.Answer);
        Assert.Contains("protects nothing", Find(First).GroupViability.Reason);
    }

    [Fact]
    public void A_group_with_another_driver_is_not_viable_and_the_reason_names_it()
    {
        _sysfs.Add(First, "vfio-pci", group: 4);
        _sysfs.Add(Second, "e1000e", group: 4);
        Finding verdict = Find(First).GroupViability;
        Assert.Equal(Answer.No, verdict.Answer);
        Assert.Equal($"{Second} has the driver e1000e", verdict.Reason);
    }

    [Fact]
    public void Bridges_stubs_and_functions_without_a_driver_leave_a_group_viable()
    {
        _sysfs.Add("0000:00:01.0", "pcieport", group: 4, classCode: 0x060400);
        _sysfs.Add(First, "mlx5_vfio_pci", group: 4);
        _sysfs.Add(Second, group: 4);
        _sysfs.Add("0000:01:00.2", "pci-stub", group: 4);
        Assert.Equal(Answer.Yes, Find(First).GroupViability.Answer);
    }

    [Fact]
    public void A_BAR_below_a_page_and_no_reset_speak_against_it()
    {
        string folder = _sysfs.Add(First, "vfio-pci", group: 4);
        File.WriteAllText(Path.Combine(folder, "resource"), "0x00000000febc0000 0x00000000febc07ff 0x0000000000040200\n");
        WellBehavedReport report = Find(First).Check();
        Assert.False(report.IsWellBehaved);
        string[] reasons = [.. report.Findings.Where(verdict => verdict.Answer == Answer.No).Select(verdict => verdict.Reason)];
        Assert.Equal(["BAR0 has 2048 bytes", "it has no reset method"], reasons);
    }

    [Fact]
    public void MSI_X_inside_a_page_of_registers_speaks_against_it()
    {
        byte[] config = WithCapability(0x11, 0x03, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00);
        string folder = _sysfs.Add(First, "vfio-pci", group: 4, config: config);
        File.WriteAllText(Path.Combine(folder, "reset_method"), "flr bus\n");
        File.WriteAllText(Path.Combine(folder, "resource"), "0x00000000febc0000 0x00000000febc1fff 0x0000000000040200\n");
        Finding verdict = Assert.Single(Find(First).Check().Findings, verdict => verdict.Answer == Answer.No);
        Assert.Equal("its table starts inside a page, at 0x800 of BAR0", verdict.Reason);
    }

    [Fact]
    public void Whether_a_pin_can_be_masked_is_unknown_unless_the_function_is_PCI_Express()
    {
        byte[] old = new byte[256];
        old[0x3d] = 1;
        _sysfs.Add(First, "vfio-pci", group: 4, config: old);
        Assert.Equal(Answer.Unknown, AnswerOf(First, "INTx"));

        byte[] express = WithCapability([0x10, .. new byte[0x3a]]);
        express[0x3d] = 1;
        _sysfs.Add(Second, "vfio-pci", group: 4, config: express);
        Assert.Equal(Answer.Yes, AnswerOf(Second, "INTx"));
    }

    [Fact]
    public void What_an_ordinary_user_cannot_read_is_unknown()
    {
        byte[] config = WithCapability(0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)[..64];
        _sysfs.Add(First, "vfio-pci", group: 4, config: config);
        Assert.Equal(Answer.Unknown, AnswerOf(First, "config space"));
        Assert.Equal(Answer.Unknown, AnswerOf(First, "MSI-X"));
    }

    [Fact]
    public void A_virtual_function_has_ids_a_physical_function_and_its_owner_counts_it()
    {
        string physical = _sysfs.Add(First, "igb", group: 4);
        File.WriteAllText(Path.Combine(physical, "sriov_totalvfs"), "8\n");
        string virtualFunction = _sysfs.Add("0000:01:10.0", "igbvf", group: 5, config: [.. Enumerable.Repeat((byte)0xff, 4), .. new byte[252]]);
        File.WriteAllText(Path.Combine(virtualFunction, "vendor"), "0x8086\n");
        File.WriteAllText(Path.Combine(virtualFunction, "device"), "0x10ca\n");
        _sysfs.Link(virtualFunction, "physfn", $"bus/pci/devices/{First}");
        _sysfs.Link(physical, "virtfn0", "bus/pci/devices/0000:01:10.0");
        KernelFunction function = Find("0000:01:10.0");
        Assert.Equal((0x8086, 0x10ca), (function.VendorId, function.DeviceId));
        Assert.Equal(FakeSysfs.Address(First), function.PhysicalFunction);
        Assert.Equal([function.Address], Find(First).VirtualFunctions);
        Assert.Null(Find(First).PhysicalFunction);
    }

    [Fact]
    public void The_IOMMU_has_the_name_that_sysfs_gives_it()
    {
        _sysfs.Link(_sysfs.Add(First), "iommu", "devices/virtual/iommu/dmar0");
        Assert.Equal("dmar0", Find(First).Iommu);
    }

    private static byte[] WithCapability(params byte[] bytes)
    {
        byte[] config = new byte[256];
        config[0x06] = 0x10;
        config[0x34] = 0x40;
        config[0x40] = bytes[0];
        bytes[1..].CopyTo(config, 0x42);
        return config;
    }

    private KernelFunction Find(string address) => new PciTopology(_sysfs.Root).Find(FakeSysfs.Address(address));

    private Answer AnswerOf(string address, string question) =>
        Assert.Single(Find(address).Check().Findings, verdict => verdict.Question.Contains(question, StringComparison.Ordinal)).Answer;
}
