using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Memory;

namespace Vfio.Tests.Native;

/// <summary>Whose file system a file is on, by proc_pid_mountinfo(5).</summary>
public sealed class FileSystemKindTests
{
    // A blank in a name is \040: who mounts at "/x - ext4" writes no field of the kernel's.
    private static readonly string[] Lines =
    [
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
        "31 22 0:27 / /mnt/a\\040-\\040ext4 rw,nosuid,nodev shared:5 master:2 - fuse.sshfs user@host:\\040-\\040ext4 rw,user_id=1000",
        "32 22 0:28 / /home rw - nfs4 server:/home rw,vers=4.2",
        "33 22 0:29 / /var/lib/x rw - overlay overlay rw,lowerdir=/a,upperdir=/b",
        "331 22 0:30 / /tmp rw shared:1 - tmpfs tmpfs rw",
        "34 22",
    ];

    [Theory]
    [InlineData(22, "ext4")]
    [InlineData(31, "fuse.sshfs")]
    [InlineData(32, "nfs4")]
    [InlineData(33, "overlay")]
    [InlineData(331, "tmpfs")]
    [InlineData(34, null)]
    [InlineData(3, null)]
    public void The_type_of_a_mount_is_what_follows_the_dash(int mount, string? type) => Assert.Equal(type, FileSystemKind.TypeOf(mount, Lines));

    [Fact]
    public void Memory_files_and_files_of_a_local_disk_do_not_stall()
    {
        using FileDescriptor memory = MemoryFile.CreateUnsealed("test", 4096);
        Assert.False(FileSystemKind.MayStall(memory, out _));
        using FileDescriptor pipe = new(LibC.eventfd(0, LibC.EFD_CLOEXEC));
        Assert.True(FileSystemKind.MayStall(pipe, out _));
    }

    [Fact]
    public void A_file_of_FUSE_may_stall_and_the_check_does_not_wait_for_it()
    {
        using StallingFile file = new("flush");
        Assert.True(FileSystemKind.MayStall(file.Descriptor, out _));
        VfioException refusal = Assert.Throws<VfioException>(() => SharedMemory.Share(file.Descriptor, 0, 4096, writable: true));
        Assert.Equal(Errno.OperationNotPermitted, refusal.Errno);
    }
}
