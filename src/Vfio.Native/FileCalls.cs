using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary>System calls on files by descriptor, for callers that must not be led elsewhere by a link.</summary>
internal static unsafe partial class FileCalls
{
    internal const int AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_NO_AUTOMOUNT = 0x800, AT_EMPTY_PATH = 0x1000, AT_STATX_DONT_SYNC = 0x4000;
    internal const int O_CREAT = 0x40, O_EXCL = 0x80, O_PATH = 0x200000;
    internal const uint STATX_BASIC_STATS = 0x7ff;
    internal const int LOCK_EX = 2, LOCK_NB = 4;

    /// <summary>O_DIRECTORY and O_NOFOLLOW, which arm64 has at other bits than x86-64.</summary>
    internal static int O_DIRECTORY => IsArm ? 0x4000 : 0x10000;

    /// <inheritdoc cref="O_DIRECTORY"/>
    internal static int O_NOFOLLOW => IsArm ? 0x8000 : 0x20000;

    private static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int openat(int folder, string path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mkdir(string path, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int unlinkat(int folder, string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int renameat(int oldFolder, string oldPath, int newFolder, string newPath);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fchmod(int descriptor, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int fchownat(int folder, string path, uint user, uint group, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int folder, string path, int flags, uint mask, byte* status);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int flock(int descriptor, int operation);

    [LibraryImport("libc")]
    internal static partial byte* getpwuid(uint user);

    [LibraryImport("libc")]
    internal static partial byte* getgrgid(uint group);
}
