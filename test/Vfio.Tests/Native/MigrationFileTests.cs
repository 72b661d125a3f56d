using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Native;

/// <summary>The descriptor that a device's state goes through, with a file in the kernel's place.</summary>
public sealed class MigrationFileTests
{
    [Fact]
    public void It_is_read_in_pieces_to_its_end_and_closed_with_its_object()
    {
        SharedMemory memory = SharedMemory.Create("state", 10);
        Assert.True(memory.TryWrite(0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
        FileDescriptor descriptor = memory.File.Duplicate();
        using (MigrationFile file = new(descriptor, "it"))
        {
            byte[] piece = new byte[7];
            Assert.Equal(7, file.Read(piece));
            Assert.Equal([1, 2, 3, 4, 5, 6, 7], piece);
            Assert.Equal(3, file.Read(piece));
            Assert.Equal([8, 9, 10], piece[..3]);
            Assert.Equal(0, file.Read(piece));
            Assert.Equal(0, file.Read(piece));
        }

        Assert.True(descriptor.IsClosed);
    }

    [Fact]
    public void A_refusal_keeps_its_errno()
    {
        // A file of bytes has no PRE_COPY: ENOTTY. A descriptor that is open for neither: EBADF.
        using MigrationFile file = new(SharedMemory.Create("state", 4096).File.Duplicate(), "it");
        VfioException refusal = Assert.Throws<VfioException>(() => file.GetPreCopyInfo());
        Assert.Equal((25, "VFIO_MIG_GET_PRECOPY_INFO"), ((int)refusal.Errno, refusal.Operation));
        using FileDescriptor folder = KernelFile.Open("/dev/null", _ => null);
        using MigrationFile sink = new(folder.Duplicate(), "it");
        Assert.Equal(4, sink.Write([1, 2, 3, 4]));
        Assert.Equal(0, sink.Read(new byte[4]));
    }

    [Fact]
    public void It_allocates_nothing()
    {
        using FileDescriptor zero = KernelFile.Open("/dev/zero", _ => null);
        using MigrationFile file = new(zero.Duplicate(), "it");
        byte[] bytes = new byte[4096];
        Assert.Equal(0, Measure.Allocations(() => file.Read(bytes)));
    }
}
