using System.Globalization;
using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary>What a name in the file system leads to, and whose it is.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Number">The device's number; only of device nodes.</param>
/// <param name="UserId">Owner.</param>
/// <param name="GroupId">Group.</param>
/// <param name="Mode">Permission bits, 0 to 07777.</param>
/// <param name="Links">Hard links. Of a folder in sysfs, 2 and one for each folder in it, in every network namespace.</param>
/// <param name="Length">Size in bytes.</param>
public readonly record struct FileStatus(
    FileKind Kind, DeviceNumber Number, uint UserId, uint GroupId, uint Mode, uint Links, ulong Length)
{
    /// <summary>Asks without ever waiting for a file server: what the kernel knows now is enough (AT_STATX_DONT_SYNC).</summary>
    /// <param name="path">The name.</param>
    /// <param name="follow">Whether to follow a symbolic link at its end.</param>
    /// <returns>Null where nothing is there, or it cannot be asked; <see cref="Errno"/> is lost.</returns>
    public static FileStatus? TryGet(string path, bool follow)
    {
        ArgumentNullException.ThrowIfNull(path);
        return TryGet(FileCalls.AT_FDCWD, path, follow ? 0 : FileCalls.AT_SYMLINK_NOFOLLOW);
    }

    /// <summary>Asks of an open descriptor.</summary>
    internal static FileStatus Of(int descriptor) =>
        TryGet(descriptor, "", FileCalls.AT_EMPTY_PATH) ?? throw VfioException.FromLastError("statx", $"descriptor {descriptor}");

    private static unsafe FileStatus? TryGet(int folder, string path, int flags)
    {
        // struct statx has the same offsets on every architecture (linux/stat.h).
        byte* status = stackalloc byte[256];
        int all = flags | FileCalls.AT_STATX_DONT_SYNC | FileCalls.AT_NO_AUTOMOUNT;
        if (FileCalls.statx(folder, path, all, FileCalls.STATX_BASIC_STATS, status) != 0)
            return null;
        uint mode = *(ushort*)(status + 28);
        return new FileStatus(
            (FileKind)(mode & LibC.S_IFMT),
            new DeviceNumber(*(uint*)(status + 128), *(uint*)(status + 132)),
            *(uint*)(status + 20),
            *(uint*)(status + 24),
            mode & 0xfff,
            *(uint*)(status + 16),
            *(ulong*)(status + 40));
    }
}

/// <summary>What a file is, in the bits of <c>st_mode</c> (inode(7)).</summary>
public enum FileKind
{
    /// <summary>Not known.</summary>
    Unknown = 0,

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
public readonly record struct DeviceNumber(uint Major, uint Minor)
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
