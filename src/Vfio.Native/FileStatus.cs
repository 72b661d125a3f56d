namespace Vfio.Native;

/// <summary>What <c>statx</c> says of a file, as far as it is known here: nobody is asked for what is newer, for the file may be on a file
/// system that its giver serves (FUSE), who need not answer.</summary>
/// <param name="Device">Device number of the file system.</param>
/// <param name="Inode">File number in it.</param>
/// <param name="Mode">Kind and permission bits.</param>
/// <param name="UserId">The owner.</param>
/// <param name="Size">Size in bytes.</param>
internal readonly record struct FileStatus(ulong Device, ulong Inode, uint Mode, uint UserId, long Size)
{
    // struct statx, which is the same on all architectures: STATX_BASIC_STATS.
    private const int Bytes = 256;
    private const uint BasicStats = 0x7ff;

    /// <summary>The kind of file: <c>S_IFREG</c> and its like.</summary>
    internal uint Kind => Mode & LibC.S_IFMT;

    /// <summary>Whether both are of one file.</summary>
    internal bool IsSameFile(FileStatus other) => Device == other.Device && Inode == other.Inode;

    /// <summary>Of an open descriptor.</summary>
    /// <exception cref="VfioException">It is not open.</exception>
    internal static unsafe FileStatus Of(int descriptor)
    {
        byte* status = stackalloc byte[Bytes];
        return LibC.statx(descriptor, "", LibC.AT_EMPTY_PATH | LibC.AT_STATX_DONT_SYNC, BasicStats, status) == 0
            ? Read(status)
            : throw VfioException.FromLastError("statx", $"descriptor {descriptor}");
    }

    /// <summary>Of what a name in a directory stands for; of a symbolic link itself.</summary>
    /// <returns>Null when there is nothing, or it cannot be told: errno says which.</returns>
    internal static unsafe FileStatus? Of(FileDescriptor directory, string name)
    {
        byte* status = stackalloc byte[Bytes];
        return LibC.statx(directory.Number, name, LibC.AT_SYMLINK_NOFOLLOW | LibC.AT_STATX_DONT_SYNC, BasicStats, status) == 0
            ? Read(status)
            : null;
    }

    private static unsafe FileStatus Read(byte* status) => new(
        ((ulong)*(uint*)(status + 136) << 32) | *(uint*)(status + 140), *(ulong*)(status + 32), *(ushort*)(status + 28),
        *(uint*)(status + 20), *(long*)(status + 40));
}
