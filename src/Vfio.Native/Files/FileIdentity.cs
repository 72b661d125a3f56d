using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>What an open descriptor is: which file, how long, how it may be used.</summary>
/// <param name="Device">Device number of the file system (<c>st_dev</c>).</param>
/// <param name="Inode">File number in it (<c>st_ino</c>); with <paramref name="Device"/> it names the file.</param>
/// <param name="LengthBytes">Size of the file now.</param>
/// <param name="IsRegular">A file with a size, rather than a pipe, a socket or a device.</param>
/// <param name="Readable">Opened for reading.</param>
/// <param name="Writable">Opened for writing.</param>
/// <param name="CannotShrink">Sealed with F_SEAL_SHRINK: a mapping inside <paramref name="LengthBytes"/> stays valid for ever.</param>
internal readonly record struct FileIdentity(
    ulong Device, ulong Inode, ulong LengthBytes, bool IsRegular, bool Readable, bool Writable, bool CannotShrink)
{
    /// <summary>Whether a part of the file can be mapped and accessed safely, whatever its sender does: it lies in a memory file that
    /// cannot shrink,
    /// or it is no file with a size but a device of the kernel.</summary>
    public bool IsSafeToMap(ulong offset, ulong length) =>
        !IsRegular || (CannotShrink && offset <= LengthBytes && length <= LengthBytes - offset);

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
            DeviceOf(status),
            status.Inode,
            status.Length,
            status.Kind == FileKind.Regular,
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
        return (DeviceOf(status), status.Inode, status.Length);
    }

    private static ulong DeviceOf(FileStatus status) => ((ulong)status.FileSystem.Major << 32) | status.FileSystem.Minor;
}
