using System.Globalization;
using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Locks of a whole file, by open file rather than by process, and the processes that have them.</summary>
internal static unsafe class FileLocks
{
    /// <summary>Where the lock ends. One byte is behind it, locked by the process: the kernel tells the process of such a lock, and of no
    /// other that fcntl(2) has.</summary>
    private const long End = 1L << 62;

    /// <summary>Locks a file until it is closed: for writing, or for reading, shared with other readers.</summary>
    /// <param name="file">The file, open for that.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="isShared">For reading.</param>
    /// <param name="holder">The process that has the lock, when the kernel reports it.</param>
    /// <returns>False when another holds it.</returns>
    /// <exception cref="VfioException">The file system has no locks.</exception>
    internal static bool TryTake(FileDescriptor file, string name, bool isShared, out int? holder)
    {
        holder = null;
        short type = isShared ? LibC.F_RDLCK : LibC.F_WRLCK;

        // A writer takes it shared too: users of flock(2) then see that the file is in use, and may read it.
        if (!IsTaken(LibC.flock(file.Number, LibC.LOCK_SH | LibC.LOCK_NB), name))
        {
            holder = FindByTable(FileIdentity.Locate(file));
            return false;
        }

        LibC.RecordLock whole = new() { Type = type, Length = End };
        LibC.RecordLock mark = new() { Type = type, Start = End, Length = 1 };
        if (IsTaken(LibC.fcntl(file.Number, LibC.F_OFD_SETLK, (nint)(&whole)), name))
        {
            _ = LibC.fcntl(file.Number, LibC.F_SETLK, (nint)(&mark));
            return true;
        }

        mark.Type = LibC.F_WRLCK;
        bool isKnown = LibC.fcntl(file.Number, LibC.F_GETLK, (nint)(&mark)) == 0 && mark.Type != LibC.F_UNLCK && mark.Process > 0;
        holder = isKnown ? mark.Process : null;
        return false;
    }

    private static bool IsTaken(int result, string name) => result == 0
        || ((Errno)Marshal.GetLastPInvokeError() is Errno.TryAgain or Errno.AccessDenied
            ? false
            : throw VfioException.FromLastError("locking", name));

    /// <summary>Finds the process with a lock of flock(2) in <c>/proc/locks</c>.</summary>
    private static int? FindByTable((ulong Device, ulong Inode, ulong LengthBytes) file)
    {
        const int Fields = 6, KindField = 1, ProcessField = 4, FileField = 5;
        try
        {
            // 1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF
            // The device may be another than stat(2) shows; files of two that share a number are rare.
            string end = ":" + file.Inode.ToString(CultureInfo.InvariantCulture);
            foreach (string line in File.ReadLines("/proc/locks"))
            {
                string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (fields.Length >= Fields && fields[KindField] == "FLOCK" && fields[FileField].EndsWith(end, StringComparison.Ordinal)
                    && int.TryParse(fields[ProcessField], NumberStyles.None, CultureInfo.InvariantCulture, out int process) && process > 0)
                {
                    return process;
                }
            }

            return null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
