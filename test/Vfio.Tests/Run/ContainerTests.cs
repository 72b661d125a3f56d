using Vfio.Native;
using Vfio.Run.Interface;
using static Vfio.Tests.Run.InterfaceRig;

namespace Vfio.Tests.Run;

/// <summary>Containers and groups, as linux/vfio.h and the kernel's drivers/vfio have them.</summary>
public sealed class ContainerTests : IDisposable
{
    private readonly InterfaceRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void Paths_that_the_machine_does_not_have_are_ENOENT()
    {
        foreach (string path in new[] { "/dev/vfio/9999", "/dev/vfio/07", "/dev/vfio/", "/dev/vfio/devices/vfio9", "/dev/vfio/devices/vfio", "/dev/iommu2", "" })
            Assert.Equal((Errno.NoEntry, null), (_rig.Machine.Open(path, out ServedFile? file), file));
    }

    [Fact]
    public void A_container_says_its_version_and_extensions()
    {
        int container = _rig.Open("/dev/vfio/vfio");
        Assert.Equal(0, _rig.Ioctl(container, GetApiVersion));

        // Type 1, type 1 v2 and UNMAP_ALL; no DMA_CC and no UPDATE_VADDR before there is an IOMMU; neither SPAPR, EEH, nesting nor no-IOMMU.
        Assert.Equal([0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0], Enumerable.Range(0, 12).Select(number => _rig.Ioctl(container, CheckExtension, (ulong)number)));
        (int other, _, _) = _rig.OpenByGroup();
        Assert.Equal(1, _rig.Ioctl(other, CheckExtension, 4));
        Assert.Equal(1, _rig.Ioctl(other, CheckExtension, 10));
    }

    [Fact]
    public void A_container_without_an_IOMMU_refuses_all_but_its_own_requests()
    {
        int container = _rig.Open("/dev/vfio/vfio");
        Assert.Equal(Einval, _rig.Ioctl(container, IommuGetInfo, _rig.Caller.Put(24, 0)));
        Assert.Equal(Einval, _rig.Ioctl(container, SetIommu, 3)); // no group
        int group = _rig.Open("/dev/vfio/7");
        Assert.Equal(0, _rig.Ask(group, GroupSetContainer, container));
        Assert.Equal(Enodev, _rig.Ioctl(container, SetIommu, 2)); // SPAPR
        Assert.Equal(Einval, _rig.Ioctl(container, SetIommu, 9)); // an extension, but no kind
        Assert.Equal(0, _rig.Ioctl(container, SetIommu, 1));
        Assert.Equal(Einval, _rig.Ioctl(container, SetIommu, 3)); // chosen already
        Assert.Equal(Enotty, _rig.Ioctl(container, 0x3bff));
    }

    [Fact]
    public void A_group_is_open_once()
    {
        int group = _rig.Open("/dev/vfio/7");
        Assert.Equal(Errno.Busy, _rig.Machine.Open("/dev/vfio/7", out _));
        _rig.Caller.Close(group);
        _rig.Open("/dev/vfio/7");
    }

    [Fact]
    public void The_status_of_a_group_is_viable_and_then_in_a_container()
    {
        int group = _rig.Open("/dev/vfio/7");
        ulong status = _rig.Caller.Put(8, 0);
        Assert.Equal(0, _rig.Ioctl(group, GroupGetStatus, status));
        Assert.Equal(1u, _rig.Caller.Get32(status + 4));
        Assert.Equal(0, _rig.Ask(group, GroupSetContainer, _rig.Open("/dev/vfio/vfio")));
        Assert.Equal(0, _rig.Ioctl(group, GroupGetStatus, status));
        Assert.Equal(3u, _rig.Caller.Get32(status + 4));
        Assert.Equal(0, _rig.Ioctl(group, GroupUnsetContainer));
        Assert.Equal(0, _rig.Ioctl(group, GroupGetStatus, status));
        Assert.Equal(1u, _rig.Caller.Get32(status + 4));
        Assert.Equal(Einval, _rig.Ioctl(group, GroupUnsetContainer));
        Assert.Equal(Enotty, _rig.Ioctl(group, DeviceGetInfo, status));
    }

    [Fact]
    public void A_group_goes_into_a_container_and_into_nothing_else()
    {
        int group = _rig.Open("/dev/vfio/7");
        int container = _rig.Open("/dev/vfio/vfio");
        using EventFd other = EventFd.Create();
        Assert.Equal(Ebadf, _rig.Ask(group, GroupSetContainer, 1000));
        Assert.Equal(Ebadfd, _rig.Ask(group, GroupSetContainer, _rig.Caller.Add(other)));
        Assert.Equal(Ebadfd, _rig.Ask(group, GroupSetContainer, group));
        Assert.Equal(Efault, _rig.Ioctl(group, GroupSetContainer, 8));
        Assert.Equal(0, _rig.Ask(group, GroupSetContainer, container));
        Assert.Equal(Einval, _rig.Ask(group, GroupSetContainer, container));
    }

    [Fact]
    public void A_device_is_given_by_its_name_once_there_is_an_IOMMU()
    {
        int container = _rig.Open("/dev/vfio/vfio");
        int group = _rig.Open("/dev/vfio/7");
        Assert.Equal(Einval, _rig.Ask(group, GroupGetDeviceFd, Text(First)));
        Assert.Equal(0, _rig.Ask(group, GroupSetContainer, container));
        Assert.Equal(Einval, _rig.Ask(group, GroupGetDeviceFd, Text(First)));
        Assert.Equal(0, _rig.Ioctl(container, SetIommu, 3));
        Assert.Equal(Enodev, _rig.Ask(group, GroupGetDeviceFd, Text(Second))); // of another group
        Assert.Equal(Enodev, _rig.Ask(group, GroupGetDeviceFd, Text(First + "1")));
        Assert.Equal(Enodev, _rig.Ask(group, GroupGetDeviceFd, Text("")));
        Assert.Equal(Einval, _rig.Ask(group, GroupGetDeviceFd, Text(First + " vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3")));
        Assert.Equal(Einval, _rig.Ask(group, GroupGetDeviceFd, Text(First + " other")));
        Assert.Equal(Efault, _rig.Ioctl(group, GroupGetDeviceFd, 0));
        byte[] endless = new byte[2 * 4096];
        Array.Fill(endless, (byte)'0');
        Assert.Equal(Einval, _rig.Ask(group, GroupGetDeviceFd, endless));
        long device = _rig.Ask(group, GroupGetDeviceFd, Text(First));
        Assert.True(device > 0);
        Assert.Equal(0, _rig.Ask((int)device, DeviceGetInfo, 16, 0, 0, 0));

        // The kernel gives it again, and closes it with the last file.
        long again = _rig.Ask(group, GroupGetDeviceFd, Text(First));
        Assert.True(again > 0 && again != device);
        Assert.Equal(Ebusy, _rig.Ioctl(group, GroupUnsetContainer));
        _rig.Caller.Close((int)device);
        Assert.Equal(0, _rig.Ask((int)again, DeviceGetInfo, 16, 0, 0, 0));
        _rig.Caller.Close((int)again);
        Assert.Equal(0, _rig.Ioctl(group, GroupUnsetContainer));
    }

    [Fact]
    public void A_name_whose_NUL_is_the_last_byte_of_memory_is_read()
    {
        (int _, int group, int device) = _rig.OpenByGroup();
        _rig.Caller.Close(device);
        ulong end = TestCaller.Base + TestCaller.Bytes;
        byte[] name = Text(First);
        Assert.True(_rig.Caller.TryWrite(end - (ulong)name.Length, name));
        Assert.True(_rig.Ioctl(group, GroupGetDeviceFd, end - (ulong)name.Length) > 0);
        Assert.True(_rig.Caller.TryWrite(end - 4, "aaaa"u8));
        Assert.Equal(Efault, _rig.Ioctl(group, GroupGetDeviceFd, end - 4));
    }

    [Fact]
    public void A_device_that_no_descriptor_is_left_for_is_closed()
    {
        (int _, int group, int device) = _rig.OpenByGroup();
        _rig.Caller.Close(device);
        _rig.Caller.FreeDescriptors = 0;
        Assert.Equal(Emfile, _rig.Ask(group, GroupGetDeviceFd, Text(First)));
        Assert.Equal(0, _rig.Ioctl(group, GroupUnsetContainer));
    }

    [Fact]
    public void A_device_keeps_its_closed_group_and_container_until_it_is_closed()
    {
        (int container, int group, int device) = _rig.OpenByGroup();
        Assert.Equal(0, _rig.Map(container, _rig.Caller.Allocate(0x1000), 0x10000));
        _rig.Caller.Close(container);
        _rig.Caller.Close(group);
        Assert.Equal(Errno.Busy, _rig.Machine.Open("/dev/vfio/7", out _));
        Assert.Equal(1, _rig.Caller.LiveMemories);
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 1));
        _rig.Caller.Close(device);
        Assert.Equal(0, _rig.Caller.LiveMemories);
        _rig.Open("/dev/vfio/7");
    }

    [Fact]
    public void A_file_that_is_closed_during_a_call_ends_after_it_and_takes_no_more()
    {
        (int _, int _, int device) = _rig.OpenByGroup();
        ServedFile file = _rig.Caller.FileOf(device)!;
        Assert.True(file.TryAddReference());
        _rig.Caller.Close(device);
        Assert.Equal(Ebusy, (long)-(int)_rig.Machine.Open("/dev/vfio/7", out _));
        file.Release();
        Assert.Equal(Ebadf, file.Ioctl(_rig.Caller, DeviceReset, 0));
        Assert.Equal(Ebadf, file.Read(_rig.Caller, 0, TestCaller.Base, 4));
        Assert.Equal(Ebadf, file.Write(_rig.Caller, 0, TestCaller.Base, 4));
        Assert.Equal(Errno.BadDescriptor, file.Map(0, 4096, true).Error);
    }
}
