using static Vfio.Tests.Run.InterfaceRig;

namespace Vfio.Tests.Run;

/// <summary>The address space of a container, as vfio_iommu_type1.c has it.</summary>
public sealed class TypeOneTests : IDisposable
{
    private readonly InterfaceRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void GET_INFO_has_page_sizes_and_a_chain_of_three_capabilities()
    {
        (int container, _, _) = _rig.OpenByGroup();
        ulong info = _rig.Caller.Put(16, 0, 0ul, 0xaaaaaaaa);
        Assert.Equal(0, _rig.Ioctl(container, IommuGetInfo, info));
        uint size = _rig.Caller.Get32(info);
        Assert.Equal(3u, _rig.Caller.Get32(info + 4));
        Assert.Equal(0x1000ul, _rig.Caller.Get64(info + 8) & 0xfff + 0x1000);
        Assert.Equal(0xaaaaaaaa, _rig.Caller.Get32(info + 16)); // an old, short struct has no offset

        Assert.True(_rig.Caller.TryWrite(info, BitConverter.GetBytes(size)));
        Assert.Equal(0, _rig.Ioctl(container, IommuGetInfo, info));
        Dictionary<ushort, ulong> chain = [];
        for (uint at = _rig.Caller.Get32(info + 16); at != 0; at = _rig.Caller.Get32(info + at + 4))
        {
            Assert.True(at % 8 == 0 && at < size);
            chain.Add(_rig.Caller.Get16(info + at), info + at);
            Assert.Equal(1, _rig.Caller.Get16(info + at + 2));
        }

        Assert.Equal<ushort>([1, 2, 3], chain.Keys.Order());
        Assert.Equal(65535u, _rig.Caller.Get32(chain[3] + 8));
        Assert.Equal((0x1000ul, 256ul << 20), (_rig.Caller.Get64(chain[2] + 16), _rig.Caller.Get64(chain[2] + 24)));
        Assert.Equal(2u, _rig.Caller.Get32(chain[1] + 8));
        Assert.Equal((0ul, 0xfedfffffUL), (_rig.Caller.Get64(chain[1] + 16), _rig.Caller.Get64(chain[1] + 24)));
        Assert.Equal(0xfef00000UL, _rig.Caller.Get64(chain[1] + 32));
    }

    [Fact]
    public void What_is_mapped_is_what_a_device_reaches_and_what_is_unmapped_is_released()
    {
        (int container, _, int device) = _rig.OpenByGroup();
        ulong memory = _rig.Caller.Allocate(0x2000);
        Assert.Equal(0, _rig.Map(container, memory, 0x10000, 0x2000));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x11ffe, 0xab, 0xcd));
        Assert.Equal([0xab, 0xcd], _rig.Caller.Get(memory + 0x1ffe, 2));
        Assert.Equal(0, _rig.Unmap(container, 0x10000, 0x2000, out ulong unmapped));
        Assert.Equal((0x2000ul, 0), (unmapped, _rig.Caller.LiveMemories));
        Assert.NotEqual(Errno.None, _rig.WriteByDma(device, 0x11ffe, 1));
    }

    [Fact]
    public void Memory_that_was_mapped_before_the_device_was_open_is_there()
    {
        (int container, int group, int device) = _rig.OpenByGroup();
        _rig.Caller.Close(device);
        ulong memory = _rig.Caller.Allocate(0x1000);
        Assert.Equal(0, _rig.Map(container, memory, 0x10000));
        device = (int)_rig.Ask(group, GroupGetDeviceFd, Text(First));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 5));
        Assert.Equal(5, _rig.Caller.Get(memory, 1)[0]);
    }

    [Fact]
    public void A_read_only_mapping_is_not_written()
    {
        (int container, _, int device) = _rig.OpenByGroup();
        Assert.Equal(0, _rig.Map(container, _rig.Caller.Allocate(0x1000), 0x10000, flags: 1));
        Assert.Equal(Errno.AccessDenied, _rig.WriteByDma(device, 0x10000, 1));
    }

    [Theory]
    [InlineData(31, 3, 0, 0x10000, 0x1000, Einval)] // argsz
    [InlineData(4096, 3, 0, 0x10000, 0x1000, 0)]
    [InlineData(32, 0, 0, 0x10000, 0x1000, Einval)] // neither read nor written
    [InlineData(32, 8, 0, 0x10000, 0x1000, Einval)] // an unknown flag
    [InlineData(32, 7, 0, 0x10000, 0x1000, Einval)] // VADDR goes alone
    [InlineData(32, 4, 0, 0x10000, 0x1000, Enoent)] // nothing to update
    [InlineData(32, 3, 0, 0x10000, 0, Einval)]
    [InlineData(32, 3, 0, 0x10000, 0x800, Einval)]
    [InlineData(32, 3, 0, 0x10800, 0x1000, Einval)]
    [InlineData(32, 3, 0x800, 0x10000, 0x1000, Einval)]
    [InlineData(32, 3, 0, 0xfffffffffffff000, 0x2000, Eoverflow)]
    [InlineData(32, 3, 0x8fff_ffff_f000, 0x10000, 0x1000, Efault)]
    [InlineData(32, 3, 0, 0x10000, 0xffff_9000_0000_0000, Eoverflow)] // where the memory is wraps
    [InlineData(32, 3, 0, 0xfee00000, 0x1000, Einval)] // where x86 has its interrupts
    [InlineData(32, 3, 0, 0x1000000000000, 0x1000, Einval)] // beyond 48 bits
    [InlineData(32, 3, 0, 0x20000, 0x1000, Eexist)]
    [InlineData(32, 3, 0, 0x1f000, 0x2000, Eexist)]
    public void MAP_DMA_refuses_what_the_kernel_refuses(int argsz, int flags, ulong offset, ulong iova, ulong size, long expected)
    {
        (int container, _, _) = _rig.OpenByGroup();
        ulong memory = _rig.Caller.Allocate(0x4000);
        Assert.Equal(0, _rig.Map(container, memory, 0x20000));
        Assert.Equal(expected, _rig.Ask(container, MapDma, argsz, flags, memory + offset, iova, size));
        Assert.Equal(expected == 0 ? 2 : 1, _rig.Caller.LiveMemories);
    }

    [Theory]
    [InlineData(23, 0, 0x20000, 0x2000, Einval, 0x2000)]
    [InlineData(24, 8, 0x20000, 0x2000, Einval, 0x2000)]
    [InlineData(24, 3, 0x20000, 0x2000, Einval, 0x2000)] // a bitmap of everything
    [InlineData(24, 1, 0x20000, 0x2000, Einval, 0x2000)] // no space for the bitmap's struct
    [InlineData(24, 0, 0x20000, 0, Einval, 0)]
    [InlineData(24, 0, 0x20000, 0x800, Einval, 0x800)]
    [InlineData(24, 0, 0x20800, 0x1000, Einval, 0x1000)]
    [InlineData(24, 0, 0xfffffffffffff000, 0x2000, Eoverflow, 0x2000)]
    [InlineData(24, 0, 0x20000, 0x1000, Einval, 0x1000)] // would cut it
    [InlineData(24, 0, 0x21000, 0x1000, Einval, 0x1000)]
    [InlineData(24, 0, 0x1f000, 0x2000, Einval, 0x2000)]
    [InlineData(24, 2, 0x20000, 0, Einval, 0)] // ALL has no range
    [InlineData(24, 0, 0x100000, 0x1000, 0, 0)] // nothing there is no error
    [InlineData(24, 0, 0x10000, 0x20000, 0, 0x3000)]
    [InlineData(24, 2, 0, 0, 0, 0x3000)]
    public void UNMAP_DMA_takes_whole_mappings(int argsz, int flags, ulong iova, ulong size, long expected, ulong sizeAfter)
    {
        (int container, _, _) = _rig.OpenByGroup();
        ulong memory = _rig.Caller.Allocate(0x4000);
        Assert.Equal(0, _rig.Map(container, memory, 0x20000, 0x2000));
        Assert.Equal(0, _rig.Map(container, memory, 0x28000));
        ulong argument = _rig.Caller.Put(argsz, flags, iova, size);
        Assert.Equal(expected, _rig.Ioctl(container, UnmapDma, argument));
        Assert.Equal(sizeAfter, _rig.Caller.Get64(argument + 16));
        Assert.Equal(expected == 0 && sizeAfter > 0 ? 0 : 2, _rig.Caller.LiveMemories);
    }

    [Fact]
    public void The_first_version_unmaps_all_of_a_mapping_whose_start_is_in_the_range()
    {
        (int container, _, _) = _rig.OpenByGroup(type: 1);
        Assert.Equal(0, _rig.Map(container, _rig.Caller.Allocate(0x4000), 0x20000, 0x4000));
        Assert.Equal(0, _rig.Unmap(container, 0x21000, 0x1000, out ulong unmapped));
        Assert.Equal(0ul, unmapped);
        Assert.Equal(0, _rig.Unmap(container, 0x20000, 0x1000, out unmapped));
        Assert.Equal(0x4000ul, unmapped);
    }

    [Fact]
    public void Mapping_number_65536_is_ENOSPC()
    {
        (int container, _, _) = _rig.OpenByGroup();
        ulong memory = _rig.Caller.Allocate(0x1000);
        ulong map = _rig.Caller.Put(32, 3, memory, 0ul, 0x1000ul);
        for (ulong i = 0; i < 65535; i++)
        {
            // Downwards, so that each goes before all others.
            Assert.True(_rig.Caller.TryWrite(map + 16, BitConverter.GetBytes(0x4000_0000 - (i * 0x2000))));
            Assert.Equal(0, _rig.Ioctl(container, MapDma, map));
        }

        Assert.True(_rig.Caller.TryWrite(map + 16, BitConverter.GetBytes(0x8000_0000ul)));
        Assert.Equal(Enospc, _rig.Ioctl(container, MapDma, map));
        Assert.Equal(0, _rig.Unmap(container, 0, 0, out ulong unmapped, flags: 2));
        Assert.Equal((65535ul * 0x1000, 0), (unmapped, _rig.Caller.LiveMemories));
    }

    [Fact]
    public void The_memory_of_a_mapping_can_move()
    {
        (int container, _, int device) = _rig.OpenByGroup();
        ulong before = _rig.Caller.Allocate(0x1000);
        ulong after = _rig.Caller.Allocate(0x1000);
        Assert.Equal(0, _rig.Map(container, before, 0x10000));
        Assert.Equal(Einval, _rig.Map(container, after, 0x10000, flags: 4));
        Assert.Equal(0, _rig.Unmap(container, 0x10000, 0x1000, out ulong invalid, flags: 4));
        Assert.Equal(0x1000ul, invalid);
        Assert.Equal(Einval, _rig.Unmap(container, 0x10000, 0x1000, out _, flags: 4));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 1));
        Assert.Equal(1, _rig.Caller.Get(before, 1)[0]);
        Assert.Equal(0, _rig.Map(container, after, 0x10000, flags: 4));
        Assert.Equal(Errno.None, _rig.WriteByDma(device, 0x10000, 2));
        Assert.Equal((1, 2, 1), (_rig.Caller.Get(before, 1)[0], _rig.Caller.Get(after, 1)[0], _rig.Caller.LiveMemories));
    }

    [Fact]
    public void Every_page_that_is_mapped_counts_as_written()
    {
        (int container, _, _) = _rig.OpenByGroup();
        Assert.Equal(0, _rig.Map(container, _rig.Caller.Allocate(0x2000), 0x101000, 0x2000));
        Assert.Equal(0, _rig.Map(container, _rig.Caller.Allocate(0x1000), 0x107000));
        ulong bitmap = _rig.Caller.Allocate(8);
        object[] get = [64, 4, 0x100000ul, 0x8000ul, 0x1000ul, 8ul, bitmap];
        Assert.Equal(Einval, _rig.Ask(container, IommuDirtyPages, get)); // not started
        Assert.Equal(0, _rig.Ask(container, IommuDirtyPages, 8, 1));
        Assert.Equal(0, _rig.Ask(container, IommuDirtyPages, 8, 1));
        for (int i = 0; i < 2; i++)
        {
            Assert.True(_rig.Caller.TryWrite(bitmap, new byte[8]));
            Assert.Equal(0, _rig.Ask(container, IommuDirtyPages, get));
            Assert.Equal(0b1000_0110ul, _rig.Caller.Get64(bitmap));
        }

        Assert.True(_rig.Caller.TryWrite(bitmap, new byte[8]));
        Assert.Equal(0, _rig.Ask(container, UnmapDma, 48, 1, 0x101000ul, 0x2000ul, 0x1000ul, 8ul, bitmap));
        Assert.Equal(0b11ul, _rig.Caller.Get64(bitmap));
        Assert.Equal(Einval, _rig.Ask(container, UnmapDma, 48, 1, 0x107000ul, 0x1000ul, 0x2000ul, 8ul, bitmap)); // not the smallest page
        Assert.Equal(0, _rig.Ask(container, IommuDirtyPages, 8, 2));
        Assert.Equal(Einval, _rig.Ask(container, IommuDirtyPages, get));
        Assert.Equal(Einval, _rig.Ask(container, UnmapDma, 48, 1, 0x107000ul, 0x1000ul, 0x1000ul, 8ul, bitmap));
    }

    [Theory]
    [InlineData(7, 1, 0x100000, 0x8000, 0x1000, 8, Einval)]
    [InlineData(64, 8, 0x100000, 0x8000, 0x1000, 8, Einval)]
    [InlineData(64, 5, 0x100000, 0x8000, 0x1000, 8, Einval)] // two at once
    [InlineData(40, 4, 0x100000, 0x8000, 0x1000, 8, Einval)] // no space for what to get
    [InlineData(64, 4, 0x100000, 0, 0x1000, 8, Einval)]
    [InlineData(64, 4, 0xfffffffffffff000, 0x2000, 0x1000, 8, Eoverflow)]
    [InlineData(64, 4, 0x100000, 0x8000, 0, 8, Einval)]
    [InlineData(64, 4, 0x100000, 0x8000, 0x2000, 8, Einval)] // not the smallest page
    [InlineData(64, 4, 0x100000, 0x8000, 0x1000, 4, Einval)] // bits in whole words of 64
    [InlineData(64, 4, 0x100000, 0x8000, 0x1000, 0x10000001, Einval)]
    [InlineData(64, 4, 0x101000, 0x7000, 0x1000, 8, Einval)] // cuts the mapping
    [InlineData(64, 4, 0x100000, 0x7000, 0x1000, 8, Einval)]
    [InlineData(64, 4, 0x100800, 0x8000, 0x1000, 8, Einval)]
    [InlineData(64, 4, 0x80000, 0x100000, 0x1000, 32, 0)] // more than is mapped
    public void DIRTY_PAGES_refuses_what_the_kernel_refuses(int argsz, int flags, ulong iova, ulong size, ulong page, ulong bytes, long expected)
    {
        (int container, _, _) = _rig.OpenByGroup();
        Assert.Equal(0, _rig.Map(container, _rig.Caller.Allocate(0x8000), 0x100000, 0x8000));
        Assert.Equal(0, _rig.Ask(container, IommuDirtyPages, 8, 1));
        Assert.Equal(expected, _rig.Ask(container, IommuDirtyPages, argsz, flags, iova, size, page, bytes, _rig.Caller.Allocate(64)));
    }

    [Fact]
    public void The_first_version_records_no_pages()
    {
        (int container, _, _) = _rig.OpenByGroup(type: 1);
        Assert.Equal(Eacces, _rig.Ask(container, IommuDirtyPages, 8, 1));
    }

    [Theory]
    [InlineData(GetApiVersion, 0)]
    [InlineData(IommuGetInfo, Efault)]
    [InlineData(MapDma, Efault)]
    [InlineData(UnmapDma, Efault)]
    [InlineData(IommuDirtyPages, Efault)]
    [InlineData(0x3b73, Enotty)] // VFIO_IOMMU_ENABLE, of another driver
    public void A_bad_pointer_is_EFAULT(uint request, long expected)
    {
        (int container, _, _) = _rig.OpenByGroup();
        Assert.Equal(expected, _rig.Ioctl(container, request, 0xffff_ffff_ffff_fff0));
    }
}
