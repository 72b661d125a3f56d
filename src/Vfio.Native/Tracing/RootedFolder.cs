using System.Runtime.InteropServices;
using System.Text;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>A folder that is the root of all paths in it, links included: none leads out (openat2(2), RESOLVE_IN_ROOT).</summary>
/// <remarks>Answers in the form of the kernel's own structs, for another process. Any thread may use it.</remarks>
internal sealed unsafe class RootedFolder : IDisposable
{
    /// <summary>Size of <c>struct stat</c> on x86-64, in bytes.</summary>
    internal const int StatusBytes = 144;

    /// <summary>Size of <c>struct statx</c>, in bytes.</summary>
    internal const int ExtendedStatusBytes = 256;

    private const ulong ResolveNoOtherMount = 1, ResolveInRoot = 0x10;
    private const int HowBytes = 24;
    private readonly FileDescriptor _folder;
    private readonly ulong _resolve;

    /// <summary>Opens a folder.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="hasOneMount">Whether what is mounted below it is left out (EXDEV): all files are of the folder's own file system then.</param>
    /// <exception cref="VfioException">It is not there.</exception>
    internal RootedFolder(string path, bool hasOneMount = false)
    {
        _resolve = ResolveInRoot | (hasOneMount ? ResolveNoOtherMount : 0);
        int number = LibC.open(path, LibC.O_PATH | LibC.O_DIRECTORY | LibC.O_CLOEXEC);
        _folder = number >= 0 ? new FileDescriptor(number) : throw VfioException.FromLastError("open", path);
    }

    /// <summary>Opens a file.</summary>
    /// <param name="path">Its path, which begins with a slash or not.</param>
    /// <param name="flags">As of open(2).</param>
    /// <param name="file">The file; null when it cannot be opened.</param>
    internal Errno Open(string path, int flags, out FileDescriptor? file)
    {
        ulong* how = stackalloc ulong[HowBytes / sizeof(ulong)];
        how[0] = (uint)flags | (uint)LibC.O_CLOEXEC;
        how[1] = 0;
        how[2] = _resolve;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            nint number = TraceCalls.syscall((nint)SystemCall.Openat2, _folder.Number, (nint)name, (nint)how, HowBytes, 0, 0);
            file = number >= 0 ? new FileDescriptor((int)number) : null;
            return number >= 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>Answers stat(2) or lstat(2).</summary>
    internal Errno GetStatus(string path, bool follow, Span<byte> status)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(status.Length, StatusBytes);
        Errno error = OpenPath(path, follow, out FileDescriptor? file);
        if (file is null)
            return error;
        using (file)
        {
            fixed (byte* to = status, none = "\0"u8)
            {
                return TraceCalls.syscall((nint)SystemCall.Newfstatat, file.Number, (nint)none, (nint)to, LibC.AT_EMPTY_PATH, 0, 0) == 0
                    ? Errno.None
                    : (Errno)Marshal.GetLastPInvokeError();
            }
        }
    }

    /// <summary>Answers statx(2).</summary>
    internal Errno GetExtendedStatus(string path, bool follow, uint mask, Span<byte> status)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(status.Length, ExtendedStatusBytes);
        Errno error = OpenPath(path, follow, out FileDescriptor? file);
        if (file is null)
            return error;
        using (file)
        {
            fixed (byte* to = status)
                return LibC.statx(file.Number, "", LibC.AT_EMPTY_PATH, mask, to) == 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>Answers readlink(2).</summary>
    /// <returns>The number of bytes, or a negative errno.</returns>
    internal long ReadLink(string path, Span<byte> target)
    {
        Errno error = OpenPath(path, follow: false, out FileDescriptor? file);
        if (file is null)
            return -(long)error;
        using (file)
        {
            fixed (byte* to = target)
            {
                // ENOENT: it is no link.
                nint count = LibC.readlinkat(file.Number, "", to, (nuint)target.Length);
                return count >= 0 ? count : -(long)Errno.InvalidArgument;
            }
        }
    }

    /// <summary>Answers access(2).</summary>
    internal Errno CheckAccess(string path, bool follow, int mode)
    {
        Errno error = OpenPath(path, follow, out FileDescriptor? file);
        if (file is null)
            return error;
        using (file)
        {
            fixed (byte* none = "\0"u8)
            {
                return TraceCalls.syscall((nint)SystemCall.Faccessat2, file.Number, (nint)none, mode, LibC.AT_EMPTY_PATH, 0, 0) == 0
                    ? Errno.None
                    : (Errno)Marshal.GetLastPInvokeError();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();

    private Errno OpenPath(string path, bool follow, out FileDescriptor? file) =>
        Open(path, LibC.O_PATH | (follow ? 0 : LibC.O_NOFOLLOW), out file);
}
