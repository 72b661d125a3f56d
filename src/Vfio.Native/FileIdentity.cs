using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary>What an open descriptor is: which file, how long, how it may be used.</summary>
/// <param name="Device">Device number of the file system (<c>st_dev</c>).</param>
/// <param name="Inode">File number in it (<c>st_ino</c>); with <paramref name="Device"/> it names the file.</param>
/// <param name="LengthBytes">Size of the file now.</param>
/// <param name="IsRegular">A file with a size, rather than a pipe, a socket or a device.</param>
/// <param name="Readable">Opened for reading.</param>
/// <param name="Writable">Opened for writing.</param>
/// <param name="CannotShrink">Sealed with F_SEAL_SHRINK: a mapping inside <paramref name="LengthBytes"/> stays valid for ever.</param>
public readonly record struct FileIdentity(
    ulong Device, ulong Inode, ulong LengthBytes, bool IsRegular, bool Readable, bool Writable, bool CannotShrink)
{
    /// <summary>Asks the kernel.</summary>
    /// <exception cref="VfioException">The descriptor is not open.</exception>
    public static FileIdentity Of(FileDescriptor file)
    {
        ArgumentNullException.ThrowIfNull(file);
        FileStatus status = FileStatus.Of(file.Number);
        int flags = LibC.fcntl(file.Number, LibC.F_GETFL, 0);
        int seals = LibC.fcntl(file.Number, LibC.F_GET_SEALS, 0);
        int mode = flags & LibC.O_ACCMODE;
        return new FileIdentity(
            status.Device,
            status.Inode,
            (ulong)Math.Max(0, status.Size),
            (status.Mode & LibC.S_IFMT) == LibC.S_IFREG,
            flags >= 0 && mode is LibC.O_RDONLY or LibC.O_RDWR,
            flags >= 0 && mode is LibC.O_WRONLY or LibC.O_RDWR,
            seals > 0 && (seals & LibC.F_SEAL_SHRINK) != 0);
    }

    /// <summary>Asks the kernel which file it is and how long, in one system call.</summary>
    /// <exception cref="VfioException">The descriptor is not open.</exception>
    public static (ulong Device, ulong Inode, ulong LengthBytes) Locate(FileDescriptor file)
    {
        ArgumentNullException.ThrowIfNull(file);
        FileStatus status = FileStatus.Of(file.Number);
        return (status.Device, status.Inode, (ulong)Math.Max(0, status.Size));
    }

    /// <summary>Whether a <c>struct stat</c> is that of a socket.</summary>
    internal static unsafe bool IsSocket(byte* status) => (FileStatus.Read(status).Mode & LibC.S_IFMT) == LibC.S_IFSOCK;

    /// <summary>The kind of file (<c>S_IFMT</c>) that a <c>struct stat</c> is of.</summary>
    internal static unsafe uint KindOf(byte* status) => FileStatus.Read(status).Mode & LibC.S_IFMT;

    /// <summary>Size of the file that a <c>struct stat</c> is of.</summary>
    internal static unsafe long SizeOf(byte* status) => FileStatus.Read(status).Size;

    /// <summary>The head of <c>struct stat</c>, whose order differs between the architectures.</summary>
    private readonly record struct FileStatus(ulong Device, ulong Inode, uint Mode, long Size)
    {
        internal static unsafe FileStatus Of(int descriptor)
        {
            byte* status = stackalloc byte[256];
            return LibC.fstat(descriptor, status) == 0 ? Read(status) : throw VfioException.FromLastError("fstat", $"descriptor {descriptor}");
        }

        internal static unsafe FileStatus Read(byte* status)
        {
            // x86-64 has st_nlink (8 bytes) before st_mode; arm64 has st_mode right after st_ino.
            int mode = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 24 : 16;
            return new FileStatus(*(ulong*)status, *(ulong*)(status + 8), *(uint*)(status + mode), *(long*)(status + 48));
        }
    }
}
