using Vfio.Kernel;

namespace Vfio.Tests.Kernel;

/// <summary>Functions that cannot be opened: each refusal keeps its errno, and says in one line what to do.</summary>
public sealed class DeviceOpenerTests : IDisposable
{
    private const string Function = "0000:01:00.0";
    private readonly FakeSysfs _sysfs = new();

    public static TheoryData<VfioInterface> Interfaces => [VfioInterface.Any, VfioInterface.Group, VfioInterface.Cdev];

    public void Dispose() => _sysfs.Dispose();

    [Theory]
    [MemberData(nameof(Interfaces))]
    public void What_is_not_there_is_ENODEV(VfioInterface vfioInterface) => AssertRefused(19, "vfio ls", vfioInterface);

    [Theory]
    [MemberData(nameof(Interfaces))]
    public void What_another_driver_has_is_ENODEV_and_names_it(VfioInterface vfioInterface)
    {
        _sysfs.Add(Function, "nvme", group: 3);
        AssertRefused(19, $"it is bound to the driver nvme; run 'vfio bind {Function}'", vfioInterface);
    }

    [Theory]
    [MemberData(nameof(Interfaces))]
    public void What_no_driver_has_is_ENODEV(VfioInterface vfioInterface)
    {
        _sysfs.Add(Function, group: 3);
        AssertRefused(19, $"it is bound to no driver; run 'vfio bind {Function}'", vfioInterface);
    }

    [Fact]
    public void Without_an_IOMMU_it_is_ENODEV_and_says_how_to_turn_it_on()
    {
        _sysfs.Add(Function, "vfio-pci");
        AssertRefused(19, "intel_iommu=on", VfioInterface.Group);
    }

    [Fact]
    public void A_kernel_without_device_files_is_ENODEV_and_names_the_other_interface()
    {
        _sysfs.Add(Function, "vfio-pci", group: 3);
        AssertRefused(19, "use its group", VfioInterface.Cdev);
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

    private void AssertRefused(int errno, string hint, VfioInterface vfioInterface)
    {
        VfioException refusal = Assert.Throws<VfioException>(
            () => KernelDevice.Open(FakeSysfs.Address(Function), new KernelDeviceOptions { Interface = vfioInterface, Sysfs = _sysfs.Root }));
        Assert.Equal(errno, (int)refusal.Errno);
        Assert.Contains(Function, refusal.Message);
        Assert.Contains(hint, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
