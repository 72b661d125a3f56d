using System.Globalization;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Whose file system a file is on: the kernel's own, or one behind which a process or another machine stands, for whose answer
/// every access waits, for as long as that likes.</summary>
/// <remarks>
/// <para>Local ones are listed, all others may stall: FUSE, NFS, 9p, SMB, Ceph, autofs. Overlay too, whose lower layers may be any of
/// these and of an ordinary user's making.</para>
/// <para>To ask the file system itself (fstatfs) would be to ask who stands behind it. Memory files are told by their seals, which only
/// files of tmpfs and hugetlbfs have; other files by the mount that they were opened through, where this process can see that.</para>
/// </remarks>
internal static class FileSystemKind
{
    private const string Mounts = "/proc/self/mountinfo";

    private static readonly HashSet<string> Local = new(StringComparer.Ordinal)
    {
        "tmpfs", "ramfs", "hugetlbfs", "devtmpfs", "rootfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "jfs",
    };

    /// <summary>Whether a file lies in memory (tmpfs, a memfd, hugetlbfs).</summary>
    internal static bool IsMemory(FileDescriptor file) => LibC.fcntl(file.Number, LibC.F_GET_SEALS, 0) >= 0;

    /// <summary>Whether accesses to a file may wait for another process or machine.</summary>
    /// <param name="file">The file.</param>
    /// <param name="name">Its file system, for people.</param>
    internal static bool MayStall(FileDescriptor file, out string name)
    {
        name = "memory";
        if (IsMemory(file))
            return false;
        name = DescriptorInfo.MountOf(file) is { } mount ? TypeOf(mount, File.ReadLines(Mounts)) ?? "a mount that is not seen here" : "no mount";
        return !Local.Contains(name);
    }

    /// <summary>The type of a mount.</summary>
    /// <param name="mount">Its number.</param>
    /// <param name="lines">Of proc_pid_mountinfo(5): number, parent, device, root, place, options, optional fields, a dash, then the type.
    /// Blanks in names are escaped, so that a name cannot add a field.</param>
    internal static string? TypeOf(int mount, IEnumerable<string> lines)
    {
        string number = mount.ToString(CultureInfo.InvariantCulture);
        foreach (string line in lines)
        {
            string[] fields = line.Split(' ');
            if (fields[0] != number)
                continue;
            int dash = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
            return dash >= 0 && dash + 1 < fields.Length ? fields[dash + 1] : null;
        }

        return null;
    }
}
