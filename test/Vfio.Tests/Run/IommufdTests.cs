using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Run.Interface;
using static Vfio.Tests.Run.InterfaceRig;

namespace Vfio.Tests.Run;

/// <summary>/dev/iommu and devices by their own files, as linux/iommufd.h and the kernel's drivers/iommu/iommufd have them.</summary>
public sealed class IommufdTests : IDisposable
{
    private const uint Fixed = 1, Writable = 2, Readable = 4, Both = 6;
    private readonly InterfaceRig _rig = new();

    private TestCaller Caller => _rig.Caller;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void A_device_is_bound_once_and_answers_nothing_before()
    {
        int iommu = _rig.Open("/dev/iommu");
        int device = _rig.Open("/dev/vfio/devices/vfio0");
        int again = _rig.Open("/dev/vfio/devices/vfio0");
        ServedFile file = Caller.FileOf(device)!;
        Assert.Equal(Einval, _rig.Ask(device, DeviceGetInfo, 16));
        Assert.Equal(Einval, file.Read(Caller, RegionOffsets.Of(RegionIndex.Config), Caller.Allocate(4), 4));
        Assert.Equal(Errno.InvalidArgument, file.Map(RegionOffsets.Of(RegionIndex.Bar0), 0x1000, true).Error);
        Assert.Equal(Einval, _rig.Ask(device, AttachPt, 12, 0, 1));

        Assert.Equal(Einval, _rig.Ask(device, BindIommufd, 15, 0, iommu, 0));
        Assert.Equal(Einval, _rig.Ask(device, BindIommufd, 16, 2, iommu, 0));
        Assert.Equal(Einval, _rig.Ask(device, BindIommufd, 16, 0, -2, 0));
        Assert.Equal(Ebadf, _rig.Ask(device, BindIommufd, 16, 0, 999, 0));
        Assert.Equal(Ebadfd, _rig.Ask(device, BindIommufd, 16, 0, device, 0));
        Assert.Equal(E2big, _rig.Ask(device, BindIommufd, 32, 0, iommu, 0, 0ul, 1ul));
        Assert.Equal(Einval, _rig.Ask(device, BindIommufd, 24, 1, iommu, 0, 0ul)); // a token that nobody needs
        Assert.Equal(0, _rig.Ask(device, BindIommufd, 32, 0, iommu, 0, 0ul, 0ul));
        Assert.Equal(0, _rig.Ask(device, DeviceGetInfo, 16));
        Assert.Equal(Einval, _rig.Ask(device, BindIommufd, 16, 0, iommu, 0));
        Assert.Equal(Einval, _rig.Ask(again, BindIommufd, 16, 0, iommu, 0));
        Assert.Equal(Errno.Busy, _rig.Machine.Open("/dev/vfio/7", out _));
        Caller.Close(device);
        Assert.Equal(0, _rig.Ask(again, BindIommufd, 16, 0, iommu, 0));
    }

    [Fact]
    public void A_function_of_an_open_group_is_not_bound_and_one_of_another_iommufds_group_neither()
    {
        int group = _rig.Open("/dev/vfio/8");
        int iommu = _rig.Open("/dev/iommu");
        int second = _rig.Open("/dev/vfio/devices/vfio1");
        int third = _rig.Open("/dev/vfio/devices/vfio2");
        Assert.Equal(Ebusy, _rig.Ask(second, BindIommufd, 16, 0, iommu, 0));
        Caller.Close(group);
        Assert.Equal(0, _rig.Ask(second, BindIommufd, 16, 0, iommu, 0));
        Assert.Equal(Eperm, _rig.Ask(third, BindIommufd, 16, 0, _rig.Open("/dev/iommu"), 0));
        Assert.Equal(0, _rig.Ask(third, BindIommufd, 16, 0, iommu, 0));
    }

    [Fact]
    public void Numbers_are_the_lowest_that_are_free()
    {
        int iommu = _rig.Open("/dev/iommu");
        Assert.Equal([1u, 2u, 3u], [_rig.NewSpace(iommu), _rig.NewSpace(iommu), _rig.NewSpace(iommu)]);
        Assert.Equal(0, _rig.Ask(iommu, Destroy, 8, 2));
        Assert.Equal(Enoent, _rig.Ask(iommu, Destroy, 8, 2));
        Assert.Equal(2u, _rig.NewSpace(iommu));
        Assert.Equal(4u, _rig.NewSpace(iommu));
    }

    [Fact]
    public void A_page_table_is_made_and_goes_with_its_device_and_what_is_used_is_EBUSY()
    {
        (int iommu, int device, uint space, uint number) = _rig.OpenByCdev(attaches: false);
        Assert.Equal((1u, 2u), (number, space));
        ulong attach = Caller.Put(12, 0, space);
        Assert.Equal(0, _rig.Ioctl(device, AttachPt, attach));
        Assert.Equal(3u, Caller.Get32(attach + 8));
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, space)); // the same once more
        Assert.Equal(Ebusy, _rig.Ask(iommu, Destroy, 8, space));
        Assert.Equal(Ebusy, _rig.Ask(iommu, Destroy, 8, 3));
        Assert.Equal(Ebusy, _rig.Ask(iommu, Destroy, 8, number));
        Assert.Equal(0, _rig.Ask(device, DetachPt, 8, 0));
        Assert.Equal(0, _rig.Ask(device, DetachPt, 8, 0));
        Assert.Equal(Enoent, _rig.Ask(iommu, Destroy, 8, 3));
        Assert.Equal(0, _rig.Ask(iommu, Destroy, 8, space));
        Assert.Equal(Enoent, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(Einval, _rig.Ask(device, AttachPt, 12, 0, number));
        Assert.Equal(Einval, _rig.Ask(device, AttachPt, 11, 0, number));
        Assert.Equal(Einval, _rig.Ask(device, AttachPt, 16, 1, number, 7)); // PASID
        Assert.Equal(Einval, _rig.Ask(device, DetachPt, 8, 2));
        Assert.Equal(Efault, _rig.Ioctl(device, AttachPt, 0));
    }

    [Fact]
    public void A_device_reaches_what_is_mapped_before_and_after_it_was_attached_and_nothing_once_detached()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev(attaches: false);
        ulong memory = Caller.Allocate(0x2000);
        Assert.Equal(0, Map(iommu, space, memory, 0x10000));
        Assert.NotEqual(Errno.None, _rig.WriteByDma(device, 0x10000, 1));
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(0, Map(iommu, space, memory + 0x1000, 0x11000));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10fff, 1, 2));
        Assert.Equal([1, 2], Caller.Get(memory + 0xfff, 2));
        Assert.Equal(0, _rig.Ask(device, DetachPt, 8, 0));
        Assert.NotEqual(Errno.None, _rig.WriteByDma(device, 0x10000, 1));
        Assert.Equal(2, Caller.LiveMemories);
        Caller.Close(device);
        Caller.Close(iommu);
        Assert.Equal(0, Caller.LiveMemories);
    }

    [Fact]
    public void A_device_moves_to_another_address_space_without_being_detached()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev();
        uint other = _rig.NewSpace(iommu);
        ulong memory = Caller.Allocate(0x2000);
        Assert.Equal(0, Map(iommu, space, memory, 0x10000));
        Assert.Equal(0, Map(iommu, other, memory + 0x1000, 0x10000));
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, other));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 9));
        Assert.Equal((0, 9), (Caller.Get(memory, 1)[0], Caller.Get(memory + 0x1000, 1)[0]));
    }

    [Fact]
    public void Devices_of_a_group_use_one_page_table()
    {
        (int iommu, int second, uint space, _) = _rig.OpenByCdev(index: 1);
        int third = _rig.Open("/dev/vfio/devices/vfio2");
        Assert.Equal(0, _rig.Ask(third, BindIommufd, 16, 0, iommu, 0));
        uint other = _rig.NewSpace(iommu);
        Assert.Equal(Einval, _rig.Ask(third, AttachPt, 12, 0, other));
        ulong first = Caller.Put(12, 0, space), next = Caller.Put(12, 0, space);
        Assert.Equal(0, _rig.Ioctl(third, AttachPt, first));
        Assert.Equal(0, _rig.Ioctl(second, AttachPt, next));
        Assert.Equal(Caller.Get32(first + 8), Caller.Get32(next + 8));
        Assert.Equal(0, _rig.Ask(second, AttachPt, 12, 0, other)); // takes the group along
        Assert.Equal(0, _rig.Ask(iommu, Destroy, 8, space));
    }

    [Fact]
    public void The_ranges_of_an_address_space_are_narrowed_by_a_device_and_EMSGSIZE_says_how_many_there_are()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev(attaches: false);
        ulong ranges = Caller.Allocate(64);
        ulong ask = Caller.Put(32, space, 1, 0, ranges, 0ul);
        Assert.Equal(0, _rig.Ioctl(iommu, IovaRanges, ask));
        Assert.Equal((1u, 1ul, 0ul, ulong.MaxValue), (Caller.Get32(ask + 8), Caller.Get64(ask + 24), Caller.Get64(ranges), Caller.Get64(ranges + 8)));
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(Emsgsize, _rig.Ioctl(iommu, IovaRanges, ask));
        Assert.Equal((2u, 4096ul, 0xfedfffffUL), (Caller.Get32(ask + 8), Caller.Get64(ask + 24), Caller.Get64(ranges + 8)));
        Assert.Equal(0, _rig.Ioctl(iommu, IovaRanges, ask));
        Assert.Equal((0xfef00000UL, 0xffff_ffff_fffful), (Caller.Get64(ranges + 16), Caller.Get64(ranges + 24)));
        Assert.Equal(Emsgsize, _rig.Ask(iommu, IovaRanges, 32, space, 0, 0, 0ul, 0ul));
        Assert.Equal(Efault, _rig.Ask(iommu, IovaRanges, 32, space, 2, 0, 16ul, 0ul));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, IovaRanges, 32, space, 2, 1, ranges, 0ul));
        Assert.Equal(Enoent, _rig.Ask(iommu, IovaRanges, 32, 99, 2, 0, ranges, 0ul));
    }

    [Theory]
    [InlineData(39, 7, 0, 0x1000, 0x10000, Einval)]
    [InlineData(40, 8 | 7, 0, 0x1000, 0x10000, Eopnotsupp)]
    [InlineData(40, 1, 0, 0x1000, 0x10000, Einval)]
    [InlineData(40, 7, 0, 0, 0x10000, Einval)]
    [InlineData(40, 7, 0, 0x800, 0x10000, Einval)]
    [InlineData(40, 7, 0x800, 0x1000, 0x10000, Einval)]
    [InlineData(40, 7, 0, 0x1000, 0x10800, Einval)]
    [InlineData(40, 7, 0, 0x2000, 0xfffffffffffff000, Eoverflow)]
    [InlineData(40, 7, 0, 0x1000, 0xffffffffffffffff, Eoverflow)]
    [InlineData(40, 7, 0, 0xffffffffffffffff, 0x10000, Eoverflow)]
    [InlineData(40, 7, 0, 0x1000, 0xfee00000, Einval)]
    [InlineData(40, 7, 0, 0x1000, 0x1000000000000, Einval)]
    [InlineData(40, 7, 0, 0x1000, 0x20000, Eexist)]
    [InlineData(40, 7, 0x8fff_ffff_f000, 0x1000, 0x10000, Efault)]
    [InlineData(40, 7, 0, 0x1000, 0x10000, 0)]
    [InlineData(40, 5, 0, 0x1000, 0x0, 0)]
    public void IOAS_MAP_refuses_what_the_kernel_refuses(int size, uint flags, ulong offset, ulong length, ulong iova, long expected)
    {
        (int iommu, _, uint space, _) = _rig.OpenByCdev();
        ulong memory = Caller.Allocate(0x4000);
        Assert.Equal(0, Map(iommu, space, memory, 0x20000));
        Assert.Equal(expected, _rig.Ask(iommu, IoasMap, size, flags, space, 0, memory + offset, length, iova));
        Assert.Equal(expected == 0 ? 2 : 1, Caller.LiveMemories);
    }

    [Fact]
    public void Structs_have_a_size_and_what_is_not_known_behind_them_is_zero()
    {
        int iommu = _rig.Open("/dev/iommu");
        Assert.Equal(0, _rig.Ask(iommu, IoasAlloc, 16, 0, 0, 0));
        Assert.Equal(E2big, _rig.Ask(iommu, IoasAlloc, 16, 0, 0, 1));
        Assert.Equal(E2big, _rig.Ask(iommu, IoasAlloc, -1, 0, 0, 0));
        Assert.Equal(Einval, _rig.Ask(iommu, IoasAlloc, 11, 0, 0));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, IoasAlloc, 12, 1, 0));
        Assert.Equal(Efault, _rig.Ioctl(iommu, IoasAlloc, 0));
        Assert.Equal(Enotty, _rig.Ask(iommu, 0x3b95, 64));
        Assert.Equal(Enotty, _rig.Ask(iommu, 0x3bff, 64));
    }

    [Fact]
    public void An_address_is_chosen_that_has_the_alignment_of_the_memory()
    {
        (int iommu, _, uint space, _) = _rig.OpenByCdev();
        ulong map = Caller.Put(40, Both, space, 0, Caller.Allocate(0x1000), 0x1000ul, 77ul);
        Assert.Equal(0, _rig.Ioctl(iommu, IoasMap, map));
        Assert.Equal(0x1000ul, Caller.Get64(map + 32)); // never 0
        Assert.Equal(0, _rig.Ioctl(iommu, IoasMap, map));
        Assert.Equal(0x2000ul, Caller.Get64(map + 32));
        ulong aligned = Caller.Put(40, Both, space, 0, TestCaller.Base, 0x10000ul, 0ul);
        Assert.Equal(0, _rig.Ioctl(iommu, IoasMap, aligned));
        Assert.Equal(0x10000ul, Caller.Get64(aligned + 32));
    }

    [Fact]
    public void Allowed_ranges_are_kept_and_used_for_chosen_addresses()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev(attaches: false);
        Assert.Equal(Einval, _rig.Ask(iommu, AllowIovas, 24, space, 1, 0, Caller.Put(0x5000ul, 0x4000ul)));
        Assert.Equal(Einval, _rig.Ask(iommu, AllowIovas, 24, space, 2, 0, Caller.Put(0x4000ul, 0x5fffUL, 0x5000ul, 0x6fffUL)));
        Assert.Equal(Efault, _rig.Ask(iommu, AllowIovas, 24, space, 1, 0, 16ul));
        Assert.Equal(Enomem, _rig.Ask(iommu, AllowIovas, 24, space, -1, 0, 16ul));
        Assert.Equal(0, _rig.Ask(iommu, AllowIovas, 24, space, 1, 0, Caller.Put(0xfee00000UL, 0xfee0ffffUL)));
        Assert.Equal(Eaddrinuse, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(0, _rig.Ask(iommu, AllowIovas, 24, space, 1, 0, Caller.Put(0x40000ul, 0x40fffUL)));
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(Eaddrinuse, _rig.Ask(iommu, AllowIovas, 24, space, 1, 0, Caller.Put(0xfee00000UL, 0xfee0ffffUL)));
        ulong map = Caller.Put(40, Both, space, 0, Caller.Allocate(0x1000), 0x1000ul, 0ul);
        Assert.Equal(0, _rig.Ioctl(iommu, IoasMap, map));
        Assert.Equal(0x40000ul, Caller.Get64(map + 32));
        Assert.Equal(Enospc, _rig.Ioctl(iommu, IoasMap, map));
    }

    [Fact]
    public void What_is_mapped_where_a_device_cannot_reach_keeps_it_from_being_attached()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev(attaches: false);
        ulong memory = Caller.Allocate(0x2000);
        Assert.Equal(0, Map(iommu, space, memory, 0xfee00000));
        Assert.Equal(Eaddrinuse, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(0, _rig.Ask(iommu, IoasUnmap, 24, space, 0xfee00000UL, 0x1000ul));
        Assert.Equal(0, _rig.Ask(iommu, IoasMap, 40, Fixed | Both, space, 0, memory + 1, 0x10ul, 0x10001ul)); // to the byte
        Assert.Equal(Eaddrinuse, _rig.Ask(device, AttachPt, 12, 0, space));
        Assert.Equal(0, _rig.Ask(iommu, IoasUnmap, 24, space, 0ul, ulong.MaxValue));
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, space));
    }

    [Theory]
    [InlineData(23, 0x20000, 0x1000, Einval, 0x1000)]
    [InlineData(24, 0x20000, 0, Einval, 0)]
    [InlineData(24, 0xfffffffffffff000, 0x2000, Eoverflow, 0x2000)]
    [InlineData(24, 0x10000, 0x1000, Enoent, 0x1000)]
    [InlineData(24, 0x20000, 0x1000, Enoent, 0x1000)] // would cut it
    [InlineData(24, 0x21000, 0x1000, Enoent, 0x1000)]
    [InlineData(24, 0x10000, 0x20000, 0, 0x3000)]
    [InlineData(24, 0, 0xffffffffffffffff, 0, 0x3000)]
    [InlineData(24, 1, 0xffffffffffffffff, Eoverflow, 0xffffffffffffffff)]
    public void IOAS_UNMAP_takes_whole_mappings(int size, ulong iova, ulong length, long expected, ulong lengthAfter)
    {
        (int iommu, _, uint space, _) = _rig.OpenByCdev();
        ulong memory = Caller.Allocate(0x4000);
        Assert.Equal(0, Map(iommu, space, memory, 0x20000, 0x2000));
        Assert.Equal(0, Map(iommu, space, memory, 0x28000));
        ulong unmap = Caller.Put(size, space, iova, length);
        Assert.Equal(expected, _rig.Ioctl(iommu, IoasUnmap, unmap));
        Assert.Equal(lengthAfter, Caller.Get64(unmap + 16));
    }

    [Fact]
    public void An_empty_address_space_is_unmapped_as_a_whole_without_an_error()
    {
        int iommu = _rig.Open("/dev/iommu");
        uint space = _rig.NewSpace(iommu);
        ulong unmap = Caller.Put(24, space, 0ul, ulong.MaxValue);
        Assert.Equal(0, _rig.Ioctl(iommu, IoasUnmap, unmap));
        Assert.Equal(0ul, Caller.Get64(unmap + 16));
        Assert.Equal(Enoent, _rig.Ask(iommu, IoasUnmap, 24, 77, 0ul, ulong.MaxValue));
    }

    [Fact]
    public void A_mapping_is_copied_in_parts_and_keeps_its_memory()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev();
        uint source = _rig.NewSpace(iommu);
        ulong memory = Caller.Allocate(0x3000);
        Assert.Equal(0, Map(iommu, source, memory, 0x20000, 0x2000));
        Assert.Equal(0, Map(iommu, source, memory + 0x2000, 0x22000));
        Assert.Equal(0, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, source, 0x2000ul, 0x80000ul, 0x21000ul));
        Assert.Equal(Enoent, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, source, 0x3000ul, 0x90000ul, 0x21000ul));
        Assert.Equal(Eexist, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, source, 0x1000ul, 0x81000ul, 0x20000ul));
        Assert.Equal(Enoent, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, 99, source, 0x1000ul, 0x90000ul, 0x20000ul));
        Assert.Equal(Enoent, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, 99, 0x1000ul, 0x90000ul, 0x20000ul));
        Assert.Equal(Eoverflow, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, source, 0x2000ul, 0x90000ul, 0xfffffffffffff000ul));
        Assert.Equal(Einval, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, source, 0ul, 0x90000ul, 0x20000ul));
        Assert.Equal(0, _rig.Ask(iommu, Destroy, 8, source));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x80fff, 3, 4));
        Assert.Equal([3, 4], Caller.Get(memory + 0x1fff, 2));
        Assert.Equal(2, Caller.LiveMemories);
        Assert.Equal(0, _rig.Ask(iommu, IoasUnmap, 24, space, 0ul, ulong.MaxValue));
        Assert.Equal(0, Caller.LiveMemories);
    }

    [Fact]
    public void Memory_that_was_mapped_to_be_read_is_not_copied_to_be_written()
    {
        int iommu = _rig.Open("/dev/iommu");
        uint space = _rig.NewSpace(iommu);
        Assert.Equal(0, _rig.Ask(iommu, IoasMap, 40, Fixed | Readable, space, 0, Caller.Allocate(0x1000), 0x1000ul, 0x1000ul));
        Assert.Equal(Eperm, _rig.Ask(iommu, IoasCopy, 40, Fixed | Both, space, space, 0x1000ul, 0x90000ul, 0x1000ul));
        Assert.Equal(0, _rig.Ask(iommu, IoasCopy, 40, Fixed | Readable, space, space, 0x1000ul, 0x90000ul, 0x1000ul));
    }

    [Fact]
    public void A_file_of_memory_is_mapped()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev();
        using SharedMemory memory = SharedMemory.Create("test", 0x4000);
        int file = Caller.Add(memory.File.Duplicate());
        Assert.Equal(Ebadf, _rig.Ask(iommu, MapFile, 40, Fixed | Both, space, 999, 0ul, 0x1000ul, 0x10000ul));
        Assert.Equal(Einval, _rig.Ask(iommu, MapFile, 40, Fixed | Both, space, file, 0x4000ul, 0x1000ul, 0x10000ul)); // beyond its end
        Assert.Equal(Einval, _rig.Ask(iommu, MapFile, 40, Fixed | Both, space, file, 0ul, 0ul, 0x10000ul));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, MapFile, 40, 8 | Both, space, file, 0ul, 0x1000ul, 0x10000ul));
        Assert.Equal(0, _rig.Ask(iommu, MapFile, 40, Fixed | Both, space, file, 0x1000ul, 0x2000ul, 0x10000ul));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x11000, 0x5a));
        byte[] seen = new byte[1];
        Assert.True(memory.TryRead(0x2000, seen));
        Assert.Equal(0x5a, seen[0]);
    }

    [Fact]
    public void Options_are_got_and_set()
    {
        (int iommu, _, uint space, _) = _rig.OpenByCdev();
        ulong option = Caller.Put(24, 1, (ushort)1, (ushort)0, space, 9ul);
        Assert.Equal(0, _rig.Ioctl(iommu, Option, option));
        Assert.Equal(1ul, Caller.Get64(option + 16));
        Assert.Equal(0, _rig.Ask(iommu, Option, 24, 1, (ushort)0, (ushort)0, space, 0ul));
        Assert.Equal(0, _rig.Ioctl(iommu, Option, option));
        Assert.Equal(0ul, Caller.Get64(option + 16));
        Assert.Equal(Einval, _rig.Ask(iommu, Option, 24, 1, (ushort)0, (ushort)0, space, 2ul));
        Assert.Equal(Enoent, _rig.Ask(iommu, Option, 24, 1, (ushort)1, (ushort)0, 99, 0ul));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, Option, 24, 2, (ushort)1, (ushort)0, space, 0ul));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, Option, 24, 1, (ushort)1, (ushort)1, space, 0ul));
        Assert.Equal(0, _rig.Ask(iommu, Option, 24, 0, (ushort)1, (ushort)0, 0, 0ul));
        Assert.Equal(Eperm, _rig.Ask(iommu, Option, 24, 0, (ushort)0, (ushort)0, 0, 1ul));
    }

    [Fact]
    public void Page_tables_are_allocated_and_used()
    {
        (int iommu, int device, uint space, uint number) = _rig.OpenByCdev(attaches: false);
        ulong alloc = Caller.Put(48, 2, number, space, 0, 0, 0, 0, 0ul, 0, 0);
        Assert.Equal(0, _rig.Ioctl(iommu, HwptAlloc, alloc));
        uint table = Caller.Get32(alloc + 16);
        Assert.Equal(Enoent, _rig.Ask(iommu, HwptAlloc, 24, 0, 99, space, 0, 0));
        Assert.Equal(Einval, _rig.Ask(iommu, HwptAlloc, 24, 0, number, 99, 0, 0));
        Assert.Equal(Einval, _rig.Ask(iommu, HwptAlloc, 24, 0, number, number, 0, 0));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, HwptAlloc, 24, 16, number, space, 0, 0));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, HwptAlloc, 24, 8, number, space, 0, 0)); // PASID
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, HwptAlloc, 24, 0, number, table, 0, 0)); // nested
        Assert.Equal(Einval, _rig.Ask(iommu, HwptAlloc, 32, 0, number, space, 0, 0, 1, 0));

        ulong attach = Caller.Put(12, 0, table);
        Assert.Equal(0, _rig.Ioctl(device, AttachPt, attach));
        Assert.Equal(table, Caller.Get32(attach + 8));
        Assert.Equal(0, Map(iommu, space, Caller.Allocate(0x8000), 0x100000, 0x8000));
        ulong bitmap = Caller.Allocate(8);
        object[] get = [48, table, 0, 0, 0x100000ul, 0x8000ul, 0x1000ul, bitmap];
        Assert.Equal(0, _rig.Ask(iommu, SetDirtyTracking, 16, 1, table, 0));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x103000, 1));
        Assert.Equal(0, _rig.Ask(iommu, GetDirtyBitmap, [.. get[..2], 1, .. get[3..]])); // without clearing
        Assert.Equal(8ul, Caller.Get64(bitmap));
        Assert.True(Caller.TryWrite(bitmap, new byte[8]));
        Assert.Equal(0, _rig.Ask(iommu, GetDirtyBitmap, get));
        Assert.Equal(8ul, Caller.Get64(bitmap));
        Assert.Equal(0, _rig.Ask(iommu, GetDirtyBitmap, get)); // sets bits and clears none
        Assert.Equal(8ul, Caller.Get64(bitmap));
        Assert.Equal(Einval, _rig.Ask(iommu, GetDirtyBitmap, 48, table, 0, 0, 0x100000ul, 0ul, 0x1000ul, bitmap));
        Assert.Equal(Einval, _rig.Ask(iommu, GetDirtyBitmap, 48, table, 0, 0, 0x100000ul, 0x8000ul, 0ul, bitmap));
        Assert.Equal(Einval, _rig.Ask(iommu, GetDirtyBitmap, 48, table, 0, 0, 0x101000ul, 0x7000ul, 0x2000ul, bitmap));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, GetDirtyBitmap, 48, table, 2, 0, 0x100000ul, 0x8000ul, 0x1000ul, bitmap));
        Assert.Equal(Enoent, _rig.Ask(iommu, GetDirtyBitmap, 48, space, 0, 0, 0x100000ul, 0x8000ul, 0x1000ul, bitmap));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, SetDirtyTracking, 16, 2, table, 0));

        Assert.Equal(0, _rig.Ask(device, DetachPt, 8, 0));
        Assert.Equal(0, _rig.Ask(iommu, Destroy, 8, table)); // an explicit one stays until then
        Assert.Equal(0, _rig.Ask(device, AttachPt, 12, 0, space));
    }

    [Fact]
    public void GET_HW_INFO_says_that_the_IOMMU_is_nobodys_and_zeroes_the_buffer()
    {
        (int iommu, _, uint space, uint number) = _rig.OpenByCdev();
        ulong buffer = Caller.Put(ulong.MaxValue, ulong.MaxValue);
        ulong info = Caller.Put(40, 0, number, 8, buffer, 99, 0, 0ul);
        Assert.Equal(0, _rig.Ioctl(iommu, GetHwInfo, info));
        Assert.Equal((0u, 0u, 9ul), (Caller.Get32(info + 12), Caller.Get32(info + 24), Caller.Get64(info + 32)));
        Assert.Equal((0ul, ulong.MaxValue), (Caller.Get64(buffer), Caller.Get64(buffer + 8)));
        Assert.Equal(Enoent, _rig.Ask(iommu, GetHwInfo, 40, 0, space, 0, 0ul, 0, 0, 0ul));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, GetHwInfo, 40, 2, number, 0, 0ul, 0, 0, 0ul));
        Assert.Equal(Efault, _rig.Ask(iommu, GetHwInfo, 40, 0, number, 8, 16ul, 0, 0, 0ul));
    }

    [Fact]
    public void The_containers_ioctls_work_on_an_iommufd()
    {
        int iommu = _rig.Open("/dev/iommu");
        int group = _rig.Open("/dev/vfio/7");
        Assert.Equal(0, _rig.Ioctl(iommu, GetApiVersion));
        Assert.Equal([1, 1, 1, 0], new ulong[] { 1, 3, 9, 10 }.Select(number => _rig.Ioctl(iommu, CheckExtension, number)));
        Assert.Equal(Enodev, _rig.Ioctl(iommu, SetIommu, 3));
        Assert.Equal(Enodev, _rig.Map(iommu, Caller.Allocate(0x1000), 0x10000));
        Assert.Equal(Enodev, _rig.Ask(iommu, VfioIoas, 12, 0, 0));
        Assert.Equal(0, _rig.Ask(group, GroupSetContainer, iommu));
        Assert.Equal(0, _rig.Ioctl(iommu, SetIommu, 3));
        Assert.Equal(0, _rig.Ioctl(iommu, SetIommu, 1));
        Assert.Equal(Einval, _rig.Ioctl(iommu, SetIommu, 8));
        int device = (int)_rig.Ask(group, GroupGetDeviceFd, Text(First));
        ulong memory = Caller.Allocate(0x2000);
        Assert.Equal(0, _rig.Map(iommu, memory, 0x10000));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 4));
        Assert.Equal(4, Caller.Get(memory, 1)[0]);
        Assert.Equal(Einval, _rig.Map(iommu, memory, 0x20000, flags: 7)); // no VADDR
        Assert.Equal(Eexist, _rig.Map(iommu, memory, 0x10000));
        Assert.Equal(0, _rig.Unmap(iommu, 0x40000, 0x1000, out ulong unmapped));
        Assert.Equal(0ul, unmapped);
        Assert.Equal(Einval, _rig.Unmap(iommu, 0x10000, 0x1000, out _, flags: 1));
        Assert.Equal(0, _rig.Unmap(iommu, 0, 0, out unmapped, flags: 2));
        Assert.Equal(0x1000ul, unmapped);
        Assert.Equal(Enotty, _rig.Ask(iommu, IommuDirtyPages, 8, 1));
        ulong info = Caller.Put(24, 0, 0ul, 0, 0);
        Assert.Equal(0, _rig.Ioctl(iommu, IommuGetInfo, info));
        Assert.Equal((3u, 0u), (Caller.Get32(info + 4), Caller.Get32(info + 16)));
        Assert.Equal(0, _rig.Ioctl(iommu, IommuGetInfo, info));
        Assert.Equal(24u, Caller.Get32(info + 16));
        Assert.Equal((3, uint.MaxValue), (Caller.Get16(info + 24), Caller.Get32(info + 32)));

        // It has a number, and can be another.
        ulong ask = Caller.Put(12, 0, (ushort)0, (ushort)0);
        Assert.Equal(0, _rig.Ioctl(iommu, VfioIoas, ask));
        Assert.Equal(1u, Caller.Get32(ask + 4));
        Assert.Equal(0, _rig.Ask(iommu, VfioIoas, 12, _rig.NewSpace(iommu), (ushort)1, (ushort)0));
        Assert.Equal(Enoent, _rig.Ask(iommu, VfioIoas, 12, 99, (ushort)1, (ushort)0));
        Assert.Equal(0, _rig.Ask(iommu, VfioIoas, 12, 0, (ushort)2, (ushort)0));
        Assert.Equal(Enodev, _rig.Ioctl(iommu, VfioIoas, ask));
        Assert.Equal(Eopnotsupp, _rig.Ask(iommu, VfioIoas, 12, 0, (ushort)3, (ushort)0));
    }

    [Fact]
    public void A_closed_iommufd_lives_as_long_as_its_devices()
    {
        (int iommu, int device, uint space, _) = _rig.OpenByCdev();
        Assert.Equal(0, Map(iommu, space, Caller.Allocate(0x1000), 0x10000));
        Caller.Close(iommu);
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 1));
        Caller.Close(device);
        Assert.Equal(0, Caller.LiveMemories);
        _rig.Open("/dev/vfio/7");
    }

    private long Map(int iommu, uint space, ulong memory, ulong iova, ulong length = 0x1000) =>
        _rig.Ask(iommu, IoasMap, 40, Fixed | Both, space, 0, memory, length, iova);
}
