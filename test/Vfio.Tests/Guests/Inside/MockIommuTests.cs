using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Vfio.Kernel;
using Vfio.Native;
using Vfio.Native.Kernel;

namespace Vfio.Tests.Guests.Inside;

/// <summary>Iommufd's reports of dirty pages, with the mock IOMMU of the kernel's own tests: run inside a
/// guest by <see cref="PageTableTests"/>.</summary>
/// <remarks><c>drivers/iommu/iommufd/iommufd_test.h</c> of the kernel. Its device is no device of VFIO's, but its page tables are as any
/// other.</remarks>
public sealed class MockIommuTests
{
    private const int Size = 72, MockDomainFlags = 12, Dirty = 13;
    private const ulong Start = 1 << 24, Length = 0x100000, Page = 4096, MockPage = 2048;

    [Fact(Explicit = true)]
    public void A_page_table_that_tracks_reports_each_write_once()
    {
        using FileDescriptor file = KernelFile.Open("/dev/iommu", _ => null);
        using IommuFile iommu = new(file.Duplicate());
        uint space = iommu.AllocateIoas();
        uint device = MakeDevice(file, space, noDirty: 0);
        uint other = MakeDevice(file, space, noDirty: 1);
        Assert.Equal(1ul, iommu.GetHwInfo(device).out_capabilities & 1);
        Assert.Equal(0ul, iommu.GetHwInfo(other).out_capabilities & 1);
        Assert.Equal(95, (int)Assert.Throws<VfioException>(() => iommu.AllocatePageTable(other, space, 2)).Errno);

        SharedMemory memory = SharedMemory.Create("test", Length);
        SharedMemory writes = SharedMemory.Create("bits", 4096);
        iommu.Map(new iommu_ioas_map { flags = 7, ioas_id = space, user_va = memory.AddressOf(0), length = Length, iova = Start });
        uint table = iommu.AllocatePageTable(device, space, 2);
        iommu.SetDirtyTracking(table, isOn: true);

        // Pages 0, 3 and 255 of the mapping; each has two of the mock's.
        byte[] mockBits = new byte[Length / MockPage / 8];
        foreach (int page in new[] { 0, 3, 255 })
            mockBits[page * 2 / 8] |= (byte)(1 << (page * 2 % 8));
        Assert.True(writes.TryWrite(0, mockBits));
        Write(file, table, writes.AddressOf(0));

        byte[] expected = new byte[Length / Page / 8];
        expected[0] = 0b1001;
        expected[^1] = 0x80;
        byte[] bits = new byte[expected.Length];
        iommu.GetDirtyBitmap(table, Start, Length, Page, bits);
        Assert.Equal(expected, bits);
        Array.Clear(bits);
        iommu.GetDirtyBitmap(table, Start, Length, Page, bits);
        Assert.All(bits, value => Assert.Equal(0, value));

        // Part of it.
        Write(file, table, writes.AddressOf(0));
        iommu.GetDirtyBitmap(table, Start + (3 * Page), Page, Page, bits);
        Assert.Equal(1, bits[0]);
        iommu.SetDirtyTracking(table, isOn: false);
        iommu.Destroy(table);
        Assert.Equal(2, (int)Assert.Throws<VfioException>(() => iommu.SetDirtyTracking(table, isOn: true)).Errno);
    }

    private static uint MakeDevice(FileDescriptor iommu, uint space, uint noDirty)
    {
        byte[] command = Command(MockDomainFlags, space);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(28), noDirty);
        Ask(iommu, command);
        return BinaryPrimitives.ReadUInt32LittleEndian(command.AsSpan(24));
    }

    /// <summary>Has the mock's hardware write the pages whose bits are set.</summary>
    private static void Write(FileDescriptor iommu, uint table, ulong bits)
    {
        byte[] command = Command(Dirty, table);
        BinaryPrimitives.WriteUInt64LittleEndian(command.AsSpan(24), Start);
        BinaryPrimitives.WriteUInt64LittleEndian(command.AsSpan(32), Length);
        BinaryPrimitives.WriteUInt64LittleEndian(command.AsSpan(40), MockPage);
        BinaryPrimitives.WriteUInt64LittleEndian(command.AsSpan(48), bits);
        Ask(iommu, command);
        Assert.Equal(3ul, BinaryPrimitives.ReadUInt64LittleEndian(command.AsSpan(56)));
    }

    private static byte[] Command(uint operation, uint id)
    {
        byte[] command = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(command, Size);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(4), operation);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(8), id);
        return command;
    }

    /// <summary>IOMMU_TEST_CMD.</summary>
    private static void Ask(FileDescriptor iommu, byte[] command) =>
        Assert.True(Call(iommu.Number, 0x3ba0, command) == 0, $"the mock refused with errno {Marshal.GetLastPInvokeError()}");

    [DllImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static extern int Call(int descriptor, nuint request, byte[] argument);
}
