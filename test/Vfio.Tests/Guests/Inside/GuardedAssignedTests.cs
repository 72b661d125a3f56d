using Vfio.Drivers.Edu;
using Vfio.Guard.Hardware;
using Vfio.Kernel;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.Guests.Inside;

/// <summary>The guard before functions that Linux assigns: run inside a guest, as an ordinary user, by <see cref="LibraryTests"/>, and on models by
/// <see cref="Run.LibraryUnderRunTests"/>.</summary>
public sealed class GuardedAssignedTests
{
    // Between the capabilities of QEMU's edu, where QEMU keeps what is written, and Linux lets it through.
    private const ulong Gap = 0x60;

    /// <summary>A function of the test's own, outside: see <see cref="LibraryTests"/>.</summary>
    internal const string Served = "0000:04:00.0";

    /// <summary>Where it has a register that is in no capability, and what a user without the guard writes there.</summary>
    internal const ulong Register = 0x40;
    internal const uint Unguarded = 0x5a5a0001;

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
        Place.NeedLinux("a model keeps nothing between its capabilities");
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

    /// <summary>Whoever has the descriptor has config space, interrupts and the address space, without a guard.</summary>
    [Fact(Explicit = true)]
    public void A_server_passes_the_kernels_descriptor_to_no_client()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("vfio-served-").FullName, "s");
        using CancellationTokenSource stop = new();
        using VfioUserServer server = new(
            () => AssignedFunctionTests.Open(AssignedFunctionTests.First, VfioInterface.Group), new VfioUserServerOptions { Path = path });
        Thread serving = new(() => server.Run(stop.Token));
        serving.Start();
        using (VfioUserClient client = VfioUserClient.Connect(path))
        {
            for (uint i = 0; i < RegionIndex.PciCount; i++)
                Assert.Null(client.GetRegion(new RegionIndex(i)).File);
            byte[] identification = new byte[4];
            client.ReadRegion(RegionIndex.Bar(0), 0, identification);
            Assert.Equal(0x0100_00edu, BitConverter.ToUInt32(identification));
        }

        stop.Cancel();
        serving.Join();
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }

    /// <summary>What arrives at the function is looked at outside.</summary>
    [Fact(Explicit = true)]
    public void A_user_writes_at_random_to_all_of_config_space()
    {
        Place.NeedLinux("a model keeps nothing between its capabilities");
        using (KernelDevice kernel = AssignedFunctionTests.Open(Served, VfioInterface.Group))
            kernel.WriteRegion(RegionIndex.Config, Register, BitConverter.GetBytes(Unguarded));
        using GuardedHardware guard = new(AssignedFunctionTests.Open(Served, VfioInterface.Cdev));
        Random random = new(1);
        for (int i = 0; i < 1000; i++)
        {
            byte[] bytes = new byte[1 << random.Next(3)];
            random.NextBytes(bytes);
            guard.WriteRegion(RegionIndex.Config, (ulong)(random.Next(256 / bytes.Length) * bytes.Length), bytes);
        }

        Assert.NotEqual(0, guard.Refusals.ConfigBits);
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
