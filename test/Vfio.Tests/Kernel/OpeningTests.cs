using Vfio.Kernel;

namespace Vfio.Tests.Kernel;

/// <summary>Functions that cannot be opened: each refusal keeps its errno, and says in one line what to do.</summary>
public sealed class OpeningTests : IDisposable
{
    private const string Function = "0000:01:00.0";
    private readonly FakeSysfs _sysfs = new();

    public static TheoryData<KernelDoor> Doors => [KernelDoor.Any, KernelDoor.Group, KernelDoor.Device];

    public void Dispose() => _sysfs.Dispose();

    [Theory]
    [MemberData(nameof(Doors))]
    public void What_is_not_there_is_ENODEV(KernelDoor door) => AssertRefused(19, "vfio ls", door);

    [Theory]
    [MemberData(nameof(Doors))]
    public void What_another_driver_has_is_ENODEV_and_names_it(KernelDoor door)
    {
        _sysfs.Add(Function, "nvme", group: 3);
        AssertRefused(19, $"the driver nvme has it; run 'vfio bind {Function}'", door);
    }

    [Theory]
    [MemberData(nameof(Doors))]
    public void What_no_driver_has_is_ENODEV(KernelDoor door)
    {
        _sysfs.Add(Function, group: 3);
        AssertRefused(19, $"no driver has it; run 'vfio bind {Function}'", door);
    }

    [Fact]
    public void Without_an_IOMMU_it_is_ENODEV_and_says_how_to_turn_it_on()
    {
        _sysfs.Add(Function, "vfio-pci");
        AssertRefused(19, "intel_iommu=on", KernelDoor.Group);
    }

    [Fact]
    public void A_kernel_without_device_files_is_ENODEV_and_names_the_other_door()
    {
        _sysfs.Add(Function, "vfio-pci", group: 3);
        AssertRefused(19, "use its group", KernelDoor.Device);
    }

    [Fact]
    public void A_mediated_device_that_is_not_there_is_ENODEV_and_says_how_one_is_made()
    {
        Guid device = Guid.NewGuid();
        VfioException refusal = Assert.Throws<VfioException>(
            () => KernelDevice.OpenMediated(device, new KernelDeviceOptions { Sysfs = _sysfs.Root }));
        Assert.Equal(19, (int)refusal.Errno);
        Assert.Contains($"mdev:{device}", refusal.Message);
        Assert.Contains("mdev_supported_types", refusal.Message);
    }

    private void AssertRefused(int errno, string advice, KernelDoor door)
    {
        VfioException refusal = Assert.Throws<VfioException>(
            () => KernelDevice.Open(FakeSysfs.Address(Function), new KernelDeviceOptions { Door = door, Sysfs = _sysfs.Root }));
        Assert.Equal(errno, (int)refusal.Errno);
        Assert.Contains(Function, refusal.Message);
        Assert.Contains(advice, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
