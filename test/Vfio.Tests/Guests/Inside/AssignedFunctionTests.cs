using Vfio.Drivers.Edu;
using Vfio.Kernel;
using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Tests.Guests.Inside;

/// <summary>The library on functions that Linux assigns: run inside a guest, as an ordinary user, by <see cref="LibraryTests"/>, and on models by
/// <see cref="Run.LibraryUnderRunTests"/>.</summary>
/// <remarks>There are two of edu, each in a slot of its own, and an NVMe disk, which has function level reset: QEMU's in a guest.</remarks>
public sealed class AssignedFunctionTests
{
    internal const string First = "0000:01:00.0", Second = "0000:02:00.0", Disk = "0000:03:00.0";

    public static TheoryData<VfioInterface> Interfaces => [VfioInterface.Group, VfioInterface.Cdev];

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_mapped_BAR_whose_memory_is_off_is_EIO_and_works_when_it_is_opened_anew(VfioInterface vfioInterface)
    {
        using (PciDevice device = new(Open(First, vfioInterface)))
        {
            Bar bar = device.OpenBar(0);
            Assert.True(bar.IsMapped(0));
            Assert.Equal(0x010000edu, bar.Read32(0));
            device.Config.Write16(0x04, 0);
            VfioException gone = Assert.Throws<VfioException>(() => bar.Read32(0));
            Assert.Equal(5, (int)gone.Errno);
            Assert.Contains(First, gone.Message);
            Assert.Equal(5, (int)Assert.Throws<VfioException>(() => bar.Write32(4, 1)).Errno);
        }

        using PciDevice again = new(Open(First, vfioInterface));
        Assert.Equal(0x010000edu, again.OpenBar(0).Read32(0));
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Mistakes_with_mappings_keep_their_errno_and_say_what_to_do(VfioInterface vfioInterface)
    {
        using KernelDevice device = Open(First, vfioInterface);
        SharedDmaMemory memory = new(SharedMemory.Create("test", 0x4000));
        try
        {
            Refused(22, "multiples of 4096", () => device.MapDma(new DmaMapping(new Iova(0x100800), 0x1000, DmaAccess.ReadWrite, memory, 0)));
            Refused(22, "multiples of 4096", () => device.MapDma(new DmaMapping(new Iova(0x100000), 0x800, DmaAccess.ReadWrite, memory, 0)));
            Refused(22, "the memory has", () => device.MapDma(new DmaMapping(new Iova(0x100000), 0x8000, DmaAccess.ReadWrite, memory, 0)));
            Refused(22, "the IOMMU translates", () => device.MapDma(new DmaMapping(new Iova(0xfee00000), 0x1000, DmaAccess.ReadWrite, memory, 0)));
            device.MapDma(new DmaMapping(new Iova(0x100000), 0x2000, DmaAccess.ReadWrite, memory, 0));
            Refused(17, "mapped already", () => device.MapDma(new DmaMapping(new Iova(0x101000), 0x1000, DmaAccess.ReadWrite, memory, 0)));
            Refused(22, "cut a mapping", () => device.UnmapDma(new Iova(0x100000), 0x1000));
            Assert.Equal(0x2000ul, device.UnmapDma(new Iova(0x100000), 0x2000));
            Refused(2, "nothing is mapped", () => device.UnmapDma(new Iova(0x100000), 0x2000));
        }
        finally
        {
            memory.Release();
        }
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void An_access_beyond_a_BAR_is_EINVAL_with_its_size(VfioInterface vfioInterface)
    {
        using KernelDevice device = Open(First, vfioInterface);
        Refused(22, "0x100000 bytes", () => device.ReadRegion(RegionIndex.Bar(0), 0xffffe, new byte[4]));
        Refused(22, "no such region", () => device.WriteRegion(RegionIndex.Bar(1), 0, new byte[4]));
        Refused(22, "regions", () => device.GetRegion(new RegionIndex(1000)));
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Devices_that_share_an_address_space_reach_the_same_memory_and_others_do_not(VfioInterface vfioInterface)
    {
        using DmaSpace space = vfioInterface == VfioInterface.Cdev ? new IommufdSpace() : new TypeOneSpace();
        using KernelDevice first = Open(First, vfioInterface, space);
        using EduDriver second = new(Open(Second, vfioInterface, space));
        SharedMemory pages = SharedMemory.Create("test", 4096);
        SharedDmaMemory memory = new(pages);
        Iova start = new(0x8000000);
        first.MapDma(new DmaMapping(start, 4096, DmaAccess.ReadWrite, memory, 0));
        byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
        Assert.True(pages.TryWrite(0x100, sent));
        Assert.True(second.TryReadMemory(start + 0x100, received));
        Assert.Equal(sent, received);
        first.UnmapDma(start, 4096);
        Assert.False(second.TryReadMemory(start + 0x100, received));
        memory.Release();
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Devices_with_spaces_of_their_own_do_not_reach_each_others_memory(VfioInterface vfioInterface)
    {
        using EduDriver first = new(Open(First, vfioInterface));
        using EduDriver second = new(Open(Second, vfioInterface));
        using DmaBuffer buffer = first.Device.AllocateDma(4096);
        byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
        buffer.Write(0, sent);
        Assert.False(second.TryReadMemory(buffer.Start, received));
        Assert.NotEqual(sent, received);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Buffers_of_huge_pages_are_reached_and_those_that_are_not_there_are_ENOMEM(VfioInterface vfioInterface)
    {
        Place.NeedLinux("this machine need not have huge pages");
        using EduDriver edu = new(Open(First, vfioInterface));
        using DmaBuffer buffer = edu.Device.AllocateDma(3 << 20, DmaAccess.ReadWrite, DmaPages.Huge);
        Assert.Equal((4 << 20, 0ul), (buffer.Length, buffer.Start.Value % (2 << 20)));
        byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
        buffer.Write((3 << 20) - 16, sent);
        Assert.True(edu.TryReadMemory(buffer.AddressOf((3 << 20) - 16), received));
        Assert.Equal(sent, received);
        Refused(12, "vm.nr_hugepages", () => edu.Device.AllocateDma(64 << 20, DmaAccess.ReadWrite, DmaPages.Huge));
        Assert.Equal(2, ((KernelDevice)edu.Device.Device).Space.Count);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_function_level_reset_clears_registers_and_leaves_the_function_usable(VfioInterface vfioInterface)
    {
        // NVMe 1.4, 3.1.5: CC keeps the sizes of queue entries that are written, and is 0 after a reset.
        const int Configuration = 0x14;
        using PciDevice disk = new(Open(Disk, vfioInterface));
        Bar registers = disk.OpenBar(0);
        registers.Write32(Configuration, 0x00460000);
        Assert.Equal(0x00460000u, registers.Read32(Configuration));
        disk.Reset();
        Assert.Equal(0u, registers.Read32(Configuration));
        registers.Write32(Configuration, 0x00460000);
        Assert.Equal(0x00460000u, registers.Read32(Configuration));
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_function_whose_lock_others_hold_is_waited_for(VfioInterface vfioInterface)
    {
        // Beside this program, root never stops writing to the function's files in sysfs.
        for (int i = 0; i < 30; i++)
        {
            using KernelDevice device = Open(Second, vfioInterface);
            device.Reset();
        }
    }

    [Fact(Explicit = true)]
    public void An_ordinary_user_sees_the_first_64_bytes_of_config_space()
    {
        Place.NeedLinux("a model is the user's own");
        Assert.True(PciAddress.TryParse(Disk, out PciAddress address));
        Assert.Equal(64, new PciTopology().Find(address).ReadConfig().Length);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_device_that_is_open_cannot_be_opened_again(VfioInterface vfioInterface)
    {
        using KernelDevice device = Open(First, vfioInterface);
        VfioException busy = Assert.Throws<VfioException>(() => Open(First, vfioInterface));
        Assert.Equal(vfioInterface == VfioInterface.Group ? 16 : 22, (int)busy.Errno);
        Assert.Contains("has it open", busy.Message);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public async Task A_device_in_low_power_raises_an_event_when_the_host_wakes_it(VfioInterface vfioInterface)
    {
        Place.NeedLinux("root wakes the disk");
        using CancellationTokenSource limit = new(HangGuard.Timeout);
        using DeviceEvents events = new();
        using KernelDevice disk = Open(Disk, vfioInterface);
        events.EnterLowPower(disk);

        // Beside this program, root wakes the disk now and then.
        DeviceEvent woken = await events.ReadAllAsync(limit.Token).FirstAsync(happened => happened.Device == Disk, limit.Token);
        Assert.Equal(DeviceEventKind.Woken, woken.Kind);
        disk.ExitLowPower();
        byte[] version = new byte[4];
        disk.ReadRegion(RegionIndex.Bar(0), 8, version);
        Assert.NotEqual([0xff, 0xff, 0xff, 0xff], version);
    }

    internal static KernelDevice Open(string address, VfioInterface vfioInterface, DmaSpace? space = null)
    {
        Assert.True(PciAddress.TryParse(address, out PciAddress function));
        return KernelDevice.Open(function, new KernelDeviceOptions { Interface = vfioInterface, Space = space });
    }

    private static void Refused(int errno, string why, Action action)
    {
        VfioException refusal = Assert.Throws<VfioException>(action);
        Assert.Equal(errno, (int)refusal.Errno);
        Assert.Contains(why, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
