using System.Globalization;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>What a name in the file system leads to, or an open descriptor is, and whose it is.</summary>
/// <remarks>What the kernel knows now is enough (AT_STATX_DONT_SYNC): the file may be on a file system that its giver serves (FUSE), who
/// need not answer.</remarks>
/// <param name="Kind">What it is.</param>
/// <param name="Number">The device's number; only of device nodes.</param>
/// <param name="UserId">Owner.</param>
/// <param name="GroupId">Group.</param>
/// <param name="Mode">Permission bits, 0 to 07777.</param>
/// <param name="Links">Hard links. Of a folder in sysfs, 2 and one for each folder in it, in every network namespace.</param>
/// <param name="Length">Size in bytes.</param>
internal readonly record struct FileStatus(
    FileKind Kind, DeviceNumber Number, uint UserId, uint GroupId, uint Mode, uint Links, ulong Length)
{
    /// <summary>Number of the device that the file system is on (<c>st_dev</c>).</summary>
    public DeviceNumber FileSystem { get; init; }

    /// <summary>Number of the file there; with <see cref="FileSystem"/> it names the file.</summary>
    public ulong Inode { get; init; }

    /// <summary>Whether both are of one file.</summary>
    public bool IsSameFile(FileStatus other) => FileSystem == other.FileSystem && Inode == other.Inode;

    /// <summary>Asks by name.</summary>
    /// <param name="path">The name.</param>
    /// <param name="follow">Whether to follow a symbolic link at its end.</param>
    /// <returns>Null where nothing is there, or it cannot be asked; <see cref="Errno"/> is lost.</returns>
    public static FileStatus? TryGet(string path, bool follow)
    {
        ArgumentNullException.ThrowIfNull(path);
        return TryGet(LibC.AT_FDCWD, path, follow ? 0 : LibC.AT_SYMLINK_NOFOLLOW);
    }

    /// <summary>Asks of what a name in a directory stands for; of a symbolic link itself.</summary>
    /// <returns>Null when there is nothing, or it cannot be read: errno has the reason.</returns>
    internal static FileStatus? Of(FileDescriptor directory, string name) => TryGet(directory.Number, name, LibC.AT_SYMLINK_NOFOLLOW);

    /// <summary>Asks of an open descriptor.</summary>
    /// <exception cref="VfioException">It is not open.</exception>
    internal static FileStatus Of(int descriptor) => TryOf(descriptor) ?? throw VfioException.FromLastError("statx", $"descriptor {descriptor}");

    /// <summary>Asks of an open descriptor.</summary>
    /// <returns>Null when it is not open: errno says so.</returns>
    internal static FileStatus? TryOf(int descriptor) => TryGet(descriptor, "", LibC.AT_EMPTY_PATH);

    private static unsafe FileStatus? TryGet(int folder, string path, int flags)
    {
        // struct statx has the same offsets on every architecture (linux/stat.h).
        byte* status = stackalloc byte[256];
        int all = flags | LibC.AT_STATX_DONT_SYNC | LibC.AT_NO_AUTOMOUNT;
        if (LibC.statx(folder, path, all, LibC.STATX_BASIC_STATS, status) != 0)
            return null;
        uint mode = *(ushort*)(status + 28);
        return new FileStatus(
            (FileKind)(mode & LibC.S_IFMT),
            new DeviceNumber(*(uint*)(status + 128), *(uint*)(status + 132)),
            *(uint*)(status + 20),
            *(uint*)(status + 24),
            mode & 0xfff,
            *(uint*)(status + 16),
            *(ulong*)(status + 40))
        {
            FileSystem = new DeviceNumber(*(uint*)(status + 136), *(uint*)(status + 140)),
            Inode = *(ulong*)(status + 32),
        };
    }
}

/// <summary>What a file is, in the bits of <c>st_mode</c> (inode(7)).</summary>
internal enum FileKind
{
    /// <summary>Not known.</summary>
    Unknown = 0,

    /// <summary>A FIFO, or a pipe.</summary>
    Fifo = 0x1000,

    /// <summary>A character device.</summary>
    CharacterDevice = 0x2000,

    /// <summary>A directory.</summary>
    Directory = 0x4000,

    /// <summary>A block device.</summary>
    BlockDevice = 0x6000,

    /// <summary>A regular file.</summary>
    Regular = 0x8000,

    /// <summary>A symbolic link.</summary>
    SymbolicLink = 0xa000,

    /// <summary>A socket.</summary>
    Socket = 0xc000,
}

/// <summary>The number that a device has in the kernel, whatever its nodes are called.</summary>
/// <param name="Major">Which driver.</param>
/// <param name="Minor">Which of its devices.</param>
internal readonly record struct DeviceNumber(uint Major, uint Minor)
{
    /// <summary>Reads <c>259:2</c>, as in the <c>dev</c> attributes of sysfs and in mountinfo.</summary>
    public static bool TryParse(string? text, out DeviceNumber number)
    {
        number = default;
        string[] parts = (text ?? "").Trim().Split(':');
        if (parts.Length != 2
            || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint major)
            || !uint.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out uint minor))
        {
            return false;
        }

        number = new DeviceNumber(major, minor);
        return true;
    }

    /// <summary>As sysfs writes it: <c>259:2</c>.</summary>
    public override string ToString() => $"{Major}:{Minor}";
}
