using static Vfio.Tests.Run.InterfaceRig;

namespace Vfio.Tests.Run;

/// <summary>Resets of a bus, as vfio_pci_core.c has them.</summary>
public sealed class HotResetTests : IDisposable
{
    private readonly InterfaceRig _rig = new();

    private TestCaller Caller => _rig.Caller;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void All_functions_of_the_bus_are_listed_by_group_and_reset_by_who_has_the_groups()
    {
        (int group, int device) = OpenByGroup("/dev/vfio/8", Second);
        ulong info = Caller.Put(12, 9, 9);
        Assert.Equal(Enospc, _rig.Ioctl(device, GetPciHotResetInfo, info));
        Assert.Equal((0u, 2u), (Caller.Get32(info + 4), Caller.Get32(info + 8)));
        Assert.True(Caller.TryWrite(info, BitConverter.GetBytes(28)));
        Assert.Equal(0, _rig.Ioctl(device, GetPciHotResetInfo, info));

        // group, domain, bus, device and function
        Assert.Equal([8, 0, 0, 0, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0, 2, 1], Caller.Get(info + 12, 16));
        int before = _rig.Functions[1].Resets;
        Assert.Equal(0, _rig.Ask(device, PciHotReset, 16, 0, 1, group));
        Assert.True(_rig.Functions[1].Resets > before);
    }

    [Fact]
    public void Other_groups_and_other_files_are_no_proof()
    {
        (int group, int device) = OpenByGroup("/dev/vfio/8", Second);
        int other = _rig.Open("/dev/vfio/9");
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 16, 0, 1, other));
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 16, 0, 1, device));
        Assert.Equal(Ebadf, _rig.Ask(device, PciHotReset, 16, 0, 1, 999));
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 12, 0, 0));
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 24, 0, 3, group, group, group)); // more than there are functions
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 16, 1, 1, group));
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 11, 0, 1, group));
        Assert.Equal(Einval, _rig.Ask(device, GetPciHotResetInfo, 11, 0, 0));
        Assert.Equal(Efault, _rig.Ioctl(device, PciHotReset, 16));
        Assert.Equal(0, _rig.Ask(device, PciHotReset, 20, 0, 2, group, other));
    }

    [Fact]
    public void At_the_root_nothing_can_reset_a_bus()
    {
        (int group, int device) = OpenByGroup("/dev/vfio/9", AtRoot);
        Assert.Equal(Enodev, _rig.Ask(device, GetPciHotResetInfo, 64, 0, 0));
        Assert.Equal(Enodev, _rig.Ask(device, PciHotReset, 16, 0, 1, group));
    }

    [Fact]
    public void A_functions_own_file_needs_all_functions_of_the_bus_in_its_iommufd()
    {
        (int iommu, int device, _, uint number) = _rig.OpenByCdev(index: 1);
        ulong info = Caller.Put(28, 0, 0, 0ul, 0ul);
        Assert.Equal(0, _rig.Ioctl(device, GetPciHotResetInfo, info));

        // The other function is in the same group: owned, without a number.
        Assert.Equal((3u, 2u, number, 0u), (Caller.Get32(info + 4), Caller.Get32(info + 8), Caller.Get32(info + 12), Caller.Get32(info + 20)));
        Assert.Equal(Einval, _rig.Ask(device, PciHotReset, 16, 0, 1, iommu));
        int before = _rig.Functions[1].Resets;
        Assert.Equal(0, _rig.Ask(device, PciHotReset, 12, 0, 0));
        Assert.True(_rig.Functions[1].Resets > before);
    }

    private (int Group, int Device) OpenByGroup(string path, string name)
    {
        int container = _rig.Open("/dev/vfio/vfio");
        int group = _rig.Open(path);
        Assert.Equal(0, _rig.Ask(group, GroupSetContainer, container));
        Assert.Equal(0, _rig.Ioctl(container, SetIommu, 3));
        return (group, (int)_rig.Ask(group, GroupGetDeviceFd, Text(name)));
    }
}
