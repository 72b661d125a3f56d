using Vfio.Drivers.Edu;
using Vfio.Kernel;
using Vfio.Kernel.Device;
using Vfio.Native;

namespace Vfio.Tests.Guests.Inside;

/// <summary>An IOMMU's reports of the pages that devices wrote, and its errors without them: run inside a guest, as an ordinary
/// user, by <see cref="LibraryTests"/>.</summary>
public sealed class DirtyPageTests
{
    private const string First = AssignedFunctionTests.First;

    [Fact(Explicit = true)]
    public void A_container_counts_every_page_that_a_device_could_have_written()
    {
        using EduDriver edu = new(AssignedFunctionTests.Open(First, VfioInterface.Group));
        KernelDevice device = (KernelDevice)edu.Device.Device;
        using DmaBuffer before = edu.Device.AllocateDma(4 * 4096);
        Assert.True(device.TracksDirtyPages);
        Assert.Same(device, device.Get<IDirtyTracker>());
        byte[] bitmap = new byte[8];
        Assert.Throws<VfioException>(() => device.ReportDirtyPages(before.Start, 4 * 4096, 4096, bitmap));
        Assert.Equal(4096ul, device.StartDirtyTracking(512, []));
        using DmaBuffer after = edu.Device.AllocateDma(4096, DmaAccess.Read);
        byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
        before.Write(0, sent);
        edu.CopyToDevice(before, 0, 16);
        edu.CopyFromDevice(before, 2 * 4096, 16);
        before.Read(2 * 4096, received);
        Assert.Equal(sent, received);

        device.ReportDirtyPages(before.Start, 4 * 4096, 4096, bitmap);
        Assert.Equal(0b1111ul, BitConverter.ToUInt64(bitmap));

        // Part of a mapping, which the kernel does not report on, in pages that it has not.
        Array.Clear(bitmap);
        device.ReportDirtyPages(before.Start + 4096, 0x1800, 2048, bitmap);
        Assert.Equal(0b111ul, BitConverter.ToUInt64(bitmap));

        // What the device may not write, and what is not mapped.
        Array.Clear(bitmap);
        device.ReportDirtyPages(after.Start, 4096, 4096, bitmap);
        device.ReportDirtyPages(new Iova(0x4000000), 64 * 4096, 4096, bitmap);
        Assert.Equal(0ul, BitConverter.ToUInt64(bitmap));
        device.StopDirtyTracking();
        Assert.Throws<VfioException>(() => device.ReportDirtyPages(before.Start, 4 * 4096, 4096, bitmap));
    }

    [Fact(Explicit = true)]
    public void What_was_written_stays_on_record_past_an_unmap_until_it_is_reported()
    {
        using KernelDevice device = AssignedFunctionTests.Open(First, VfioInterface.Group);
        SharedDmaMemory memory = new(SharedMemory.Create("test", 0x4000));
        byte[] bitmap = new byte[8];
        device.StartDirtyTracking(4096, []);
        Map(0x100000, 0x2000);
        Map(0x102000, 0x2000);
        Assert.Equal(0x2000ul, device.UnmapDma(new Iova(0x102000), 0x2000, 4096, bitmap));
        Assert.Equal(0b11ul, BitConverter.ToUInt64(bitmap));
        Map(0x102000, 0x2000);
        Assert.Equal(0x2000ul, device.UnmapDma(new Iova(0x100000), 0x2000));
        device.UnmapAllDma();
        Assert.Equal(0, device.Space.Count);
        Array.Clear(bitmap);
        device.ReportDirtyPages(new Iova(0x100000), 0x8000, 4096, bitmap);
        Assert.Equal(0b1111ul, BitConverter.ToUInt64(bitmap));
        Array.Clear(bitmap);
        device.ReportDirtyPages(new Iova(0x100000), 0x8000, 4096, bitmap);
        Assert.Equal(0ul, BitConverter.ToUInt64(bitmap));
        Assert.Equal(2, (int)Assert.Throws<VfioException>(() => device.UnmapDma(new Iova(0x100000), 0x2000, 4096, bitmap)).Errno);
        memory.Release();

        void Map(ulong start, ulong length) =>
            device.MapDma(new DmaMapping(new Iova(start), length, DmaAccess.ReadWrite, memory, start & 0x2000));
    }

    [Fact(Explicit = true)]
    public void Devices_that_share_a_container_start_and_stop_each_for_itself()
    {
        using TypeOneSpace space = new();
        using KernelDevice first = AssignedFunctionTests.Open(First, VfioInterface.Group, space);
        byte[] bitmap = new byte[8];
        SharedDmaMemory memory = new(SharedMemory.Create("test", 0x1000));
        first.MapDma(new DmaMapping(new Iova(0x100000), 0x1000, DmaAccess.ReadWrite, memory, 0));
        first.StartDirtyTracking(4096, []);
        using (KernelDevice second = AssignedFunctionTests.Open(AssignedFunctionTests.Second, VfioInterface.Group, space))
            second.StartDirtyTracking(4096, []);
        first.ReportDirtyPages(new Iova(0x100000), 0x1000, 4096, bitmap);
        Assert.Equal(1, bitmap[0]);
        memory.Release();
    }

    [Fact(Explicit = true)]
    public void An_IOMMU_that_cannot_tell_is_EOPNOTSUPP_and_names_the_other_interface()
    {
        using KernelDevice device = AssignedFunctionTests.Open(First, VfioInterface.Cdev);
        Assert.False(device.TracksDirtyPages);
        Assert.False(((IVfioDevice)device).TryGet(out IDirtyTracker? _));
        VfioException refusal = Assert.Throws<VfioException>(() => device.StartDirtyTracking(4096, []));
        Assert.Equal(95, (int)refusal.Errno);
        Assert.Contains("with the group interface", refusal.Message);
    }

    [Theory(Explicit = true)]
    [InlineData(VfioInterface.Group)]
    [InlineData(VfioInterface.Cdev)]
    public void A_function_that_cannot_be_migrated_says_so(VfioInterface vfioInterface)
    {
        using KernelDevice device = AssignedFunctionTests.Open(First, vfioInterface);
        Assert.Equal(MigrationFeatures.None, device.Migration);
        Assert.False(((IVfioDevice)device).TryGet(out IMigratableDevice? _));
        foreach (Action action in new Action[]
        {
            () => device.SetMigrationState(MigrationState.Stop), () => _ = device.MigrationState, () => device.ReadMigrationData(new byte[1]),
            () => device.WriteMigrationData([1]), () => device.EstimateMigrationBytes(), () => device.EstimatePreCopy(),
        })
        {
            Assert.Equal(25, (int)Assert.Throws<VfioException>(action).Errno);
        }
    }

    [Fact(Explicit = true)]
    public void An_address_space_for_a_process_keeps_the_errno_and_says_what_it_takes()
    {
        using IommufdSpace own = new();
        using KernelDevice device = AssignedFunctionTests.Open(First, VfioInterface.Cdev, own);
        using IommufdSpace beside = new(own);
        Assert.Equal(0, device.PasidBits);
        AssertRefused(22, () => device.AttachPasid(1, beside));
        AssertRefused(22, () => device.DetachPasid(1));
        using IommufdSpace apart = new();
        Assert.Throws<ArgumentException>(() => device.AttachPasid(1, apart));

        using KernelDevice other = AssignedFunctionTests.Open(AssignedFunctionTests.Second, VfioInterface.Group);
        Assert.Equal(0, other.PasidBits);
        AssertRefused(25, () => other.AttachPasid(1, beside));

        static void AssertRefused(int errno, Action action)
        {
            VfioException refusal = Assert.Throws<VfioException>(action);
            Assert.Equal(errno, (int)refusal.Errno);
            Assert.Contains("Linux 6.15", refusal.Message);
        }
    }

    [Fact(Explicit = true)]
    public void Spaces_beside_each_other_hold_mappings_of_their_own()
    {
        using IommufdSpace own = new();
        using KernelDevice device = AssignedFunctionTests.Open(First, VfioInterface.Cdev, own);
        SharedDmaMemory memory = new(SharedMemory.Create("test", 0x1000));
        DmaMapping mapping = new(new Iova(0x100000), 0x1000, DmaAccess.ReadWrite, memory, 0);
        using (IommufdSpace beside = new(own))
        {
            beside.Map(mapping);
            own.Map(mapping);
        }

        Assert.Equal(1, own.Count);
        Assert.Equal(0x1000ul, own.Unmap(new Iova(0x100000), 0x1000));
        memory.Release();
    }
}
