using Vfio.Drivers.Edu;
using Vfio.Guard.Hardware;
using Vfio.Kernel;
using Vfio.Native;

namespace Vfio.Tests.Guests.Inside;

/// <summary>The guard before functions that Linux assigns: run inside a guest, as an ordinary user, by <see cref="LibraryTests"/>.</summary>
public sealed class GuardedAssignedTests
{
    // Between the capabilities of QEMU's edu, where QEMU keeps what is written, and Linux lets it through.
    private const ulong Gap = 0x60;

    public static TheoryData<VfioInterface> Interfaces => [VfioInterface.Group, VfioInterface.Cdev];

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_driver_works_as_without_it_by_the_kernels_own_mapping_and_eventfds(VfioInterface vfioInterface)
    {
        KernelDevice kernel = AssignedFunctionTests.Open(AssignedFunctionTests.First, vfioInterface);
        using EduDriver edu = new(new GuardedHardware(kernel));
        Assert.Equal(AssignedFunctionTests.First, edu.Device.Name);
        Assert.Same(kernel.GetRegion(RegionIndex.Bar(0)).File, edu.Device.Device.GetRegion(RegionIndex.Bar(0)).File);
        Assert.True(edu.Device.OpenBar(0).IsMapped(0));
        Assert.Equal(3628800u, edu.Factorial(10));
        using DmaBuffer buffer = edu.Device.AllocateDma(4096);
        byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
        buffer.Write(0, sent);
        Assert.True(edu.TryReadMemory(buffer.Start, received));
        Assert.Equal(sent, received);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Registers_between_capabilities_change_with_a_permit_only_and_are_their_owners_afterwards(VfioInterface vfioInterface)
    {
        uint before = Config(AssignedFunctionTests.Open(AssignedFunctionTests.First, vfioInterface));
        using (GuardedHardware guard = Guard(vfioInterface))
        {
            guard.WriteRegion(RegionIndex.Config, Gap, BitConverter.GetBytes(~before));
            Assert.Equal(before, Read(guard));
            Assert.Equal(32, guard.Refusals.ConfigBits);
        }

        using (GuardedHardware guard = Guard(vfioInterface, new ConfigPermit((int)Gap, uint.MaxValue, 0x0000ff00)))
        {
            guard.WriteRegion(RegionIndex.Config, Gap, BitConverter.GetBytes(~before));
            Assert.Equal(before ^ 0x0000ff00, Read(guard));
            guard.Reset();
            Assert.Equal(before, Read(guard));
            guard.WriteRegion(RegionIndex.Config, Gap, BitConverter.GetBytes(~before));
        }

        Assert.Equal(before, Config(AssignedFunctionTests.Open(AssignedFunctionTests.First, vfioInterface)));
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void The_pages_of_an_MSIX_table_are_not_mapped_and_a_reset_works(VfioInterface vfioInterface)
    {
        // QEMU's disk has its table in the page at 0x2000 of BAR0 (hw/nvme/ctrl.c), and its doorbells in the one before.
        using GuardedHardware guard = new(AssignedFunctionTests.Open(AssignedFunctionTests.Disk, vfioInterface));
        using PciDevice disk = new(guard);
        Bar registers = disk.OpenBar(0);
        Assert.True(registers.IsMapped(0));
        Assert.True(registers.IsMapped(0x1000));
        Assert.False(registers.IsMapped(0x2000));
        registers.Write32(0x14, 0x00460000);
        disk.Reset();
        Assert.Equal(0u, registers.Read32(0x14));
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Function_level_reset_by_config_space_works_by_the_kernels_hand(VfioInterface vfioInterface)
    {
        // NVMe 1.4, 3.1.5: CC is 0 after a reset. PCI Express Base 6.0, 7.5.3.4: bit 15 of Device Control starts one.
        using PciDevice disk = new(new GuardedHardware(AssignedFunctionTests.Open(AssignedFunctionTests.Disk, vfioInterface)));
        Bar registers = disk.OpenBar(0);
        registers.Write32(0x14, 0x00460000);
        int control = disk.Config.FindCapability(0x10)!.Offset + 8;
        disk.Config.Write16(control, (ushort)(disk.Config.Read16(control) | 0x8000));
        disk.Config.Write16(0x04, (ushort)(disk.Config.Read16(0x04) | 6));
        Assert.Equal(0u, registers.Read32(0x14));
        Assert.Equal(0, disk.Config.Read16(control) & 0x8000);
    }

    private static GuardedHardware Guard(VfioInterface vfioInterface, params ConfigPermit[] permits) =>
        new(AssignedFunctionTests.Open(AssignedFunctionTests.First, vfioInterface), permits: permits);

    private static uint Read(IVfioDevice device)
    {
        byte[] bytes = new byte[4];
        device.ReadRegion(RegionIndex.Config, Gap, bytes);
        return BitConverter.ToUInt32(bytes);
    }

    private static uint Config(KernelDevice device)
    {
        using (device)
            return Read(device);
    }
}
